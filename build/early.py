"""Runs in the executable before everything else: makes the packed time zones importable, answers ``--version``.

PyInstaller's own start-up hooks come after this one; the version needs none of them.
"""

import os
import sys

sys.path.append(os.path.join(sys._MEIPASS, "tzdata.zip"))  # one file to unpack at start, not six hundred

if sys.argv[1:] == ["--version"]:
    from voicegw_sidecar.cli import main

    sys.exit(main())
