"""How settings are declared: each once, as the field of a struct, with its meaning and its default beside it.

`config_file` reads and shows them; who only has settings needs no more than this.
"""

import msgspec


def meaning(text: str) -> msgspec.Meta:
    """What a setting means: `name: Annotated[int, meaning("...")] = 3`."""
    return msgspec.Meta(description=text)


def decided_by(setting: str) -> msgspec.Meta:
    """A field that `setting` ("cloud.zone") decides: nobody sets it twice."""
    return msgspec.Meta(extra={"decided_by": setting})
