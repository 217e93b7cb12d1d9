"""``python -m voicegw_sidecar``, and the entry of the executable (absolute imports only)."""

import sys

from voicegw_sidecar.cli import main

if __name__ == "__main__":
    sys.exit(main())
