"""A customer's branding: an uploaded logo made safe to show, and an accent colour made readable.

Pure: bytes and text in, values out. What is stored is always what was written here, never what was uploaded.
"""

from voicegw_sidecar.branding.colour import Accent, accent_css, parse_accent
from voicegw_sidecar.branding.logo import LIMIT_BYTES, LIMIT_PX, Logo, read_logo
from voicegw_sidecar.branding.refusal import BadLogo

__all__ = ["LIMIT_BYTES", "LIMIT_PX", "Accent", "BadLogo", "Logo", "accent_css", "parse_accent", "read_logo"]
