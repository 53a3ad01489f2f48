"""EAF of ELAN: a tier for each channel or speaker, times in milliseconds.

Letters that XML does not know, such as NUL, stand as in web addresses, and so do carriage returns and per cent signs.
"""

from __future__ import annotations

import re
from xml.etree import ElementTree as Xml

from emotune.timelines.formats.labels import encoded, label_of, milliseconds
from emotune.timelines.formats.textgrid import tier_name
from emotune.timelines.timeline import Timeline

_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
_INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
_NOT_IN_XML = re.compile("[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]")
_BEGINNING = "1970-01-01T00:00:00+00:00"  # the same timeline is the same file


def elan_text(timeline: Timeline) -> str:
    """The document; ELAN asks for the recording when it opens it."""
    Xml.register_namespace("xsi", _INSTANCE)
    root = Xml.Element(
        "ANNOTATION_DOCUMENT",
        {
            "AUTHOR": "emotune",
            "DATE": _BEGINNING,
            "FORMAT": "3.0",
            "VERSION": "3.0",
            f"{{{_INSTANCE}}}noNamespaceSchemaLocation": _SCHEMA,
        },
    )
    Xml.SubElement(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    slots = {ms: f"ts{number}" for number, ms in enumerate(_times(timeline), start=1)}
    order = Xml.SubElement(root, "TIME_ORDER")
    for ms, slot in slots.items():
        Xml.SubElement(order, "TIME_SLOT", TIME_SLOT_ID=slot, TIME_VALUE=str(ms))
    count = 0
    for track in timeline.tracks:
        about = {"LINGUISTIC_TYPE_REF": "default", "TIER_ID": _plain(tier_name(track))}
        if track.speaker is not None:
            about["PARTICIPANT"] = _plain(track.speaker)
        tier = Xml.SubElement(root, "TIER", about)
        for one in timeline.of(track):
            count += 1
            annotation = Xml.SubElement(
                Xml.SubElement(tier, "ANNOTATION"),
                "ALIGNABLE_ANNOTATION",
                ANNOTATION_ID=f"a{count}",
                TIME_SLOT_REF1=slots[milliseconds(one.start_s)],
                TIME_SLOT_REF2=slots[milliseconds(one.end_s)],
            )
            Xml.SubElement(annotation, "ANNOTATION_VALUE").text = _plain(label_of(one))
    Xml.SubElement(
        root, "LINGUISTIC_TYPE", GRAPHIC_REFERENCES="false", LINGUISTIC_TYPE_ID="default", TIME_ALIGNABLE="true"
    )
    Xml.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(root, encoding="unicode") + "\n"


def _times(timeline: Timeline) -> list[int]:
    return sorted({milliseconds(time_s) for one in timeline.segments for time_s in (one.start_s, one.end_s)})


def _plain(text: str) -> str:
    return encoded(text, "".join(_NOT_IN_XML.findall(text)))
