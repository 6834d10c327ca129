"""Tables of the flatbuffer format as plain dicts, by a description of their fields."""

import struct

import numpy as np

NUMBERS = {"bool": 1, "int8": 1, "uint8": 1, "int32": 4, "uint32": 4, "float32": 4}
ALIGNMENT = 16  # bytes, of data in data


def encoded(kind, values, schema, identifier):
    """Return a dict as a flatbuffer.

    Args:
        kind: Name of the root table.
        values: Dict of values by field; a field that is missing or `None` is not written. A union
            is a pair of a table's name and a dict.
        schema: Dict by table of its fields, `(name, type)` in their order. A type is one of
            `NUMBERS`, `"string"`, `"bytes"`, a table's name, any of these in a list, or a tuple of
            names of tables: a union, which takes two places.
        identifier: Four bytes.
    """
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    builder.Finish(_table(builder, kind, values, schema), identifier)
    return bytes(builder.Output())


def decoded(kind, content, schema, identifier):
    """Return a flatbuffer as a dict, as `encoded` takes it; unknown fields are left out.

    Raises:
        ValueError: If it is no such flatbuffer, or damaged.
    """
    from flatbuffers.table import Table

    if len(content) < 8 or content[4:8] != identifier:
        raise ValueError(f"It must begin with {identifier!r}. Received: {bytes(content[4:8])!r}.")
    try:
        (start,) = struct.unpack_from("<I", content)
        return _dict(Table(content, start), kind, schema)
    except (struct.error, IndexError, TypeError, RecursionError, UnicodeDecodeError) as error:
        raise ValueError(f"It must be whole. Received: {error}.") from error


def _table(builder, kind, values, schema):
    if unknown := set(values) - {name for name, _ in schema[kind]}:
        raise KeyError(f"{kind} has no {', '.join(sorted(unknown))}")
    slots = []  # (offset or number, the builder's method)
    for name, form in schema[kind]:
        value = values.get(name)
        if isinstance(form, tuple):
            place = 0 if value is None else form.index(value[0]) + 1
            slots.append(None if value is None else (place, builder.PrependUint8Slot))
            form, value = (form[place - 1], value[1]) if place else (None, None)
        if value is None:
            slots.append(None)
        elif isinstance(form, str) and form in NUMBERS:
            slots.append((value, getattr(builder, f"Prepend{form.capitalize()}Slot")))
        else:
            made = _offset(builder, form, value, schema)
            slots.append((made, builder.PrependUOffsetTRelativeSlot))
    builder.StartObject(len(slots))
    for place, slot in enumerate(slots):
        if slot is not None:
            value, method = slot
            method(place, value, 0 if "Offset" in method.__name__ else None)
    return builder.EndObject()


def _offset(builder, form, value, schema):
    if form == "string":
        return builder.CreateString(value)
    if form == "bytes":
        return _bytes(builder, bytes(value))
    if not isinstance(form, list):
        return _table(builder, form, value, schema)
    (form,) = form
    if form in NUMBERS:
        return builder.CreateNumpyVector(np.asarray(value, form))
    offsets = [_offset(builder, form, x, schema) for x in value]
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return builder.EndVector()


def _bytes(builder, data):
    builder.StartVector(1, len(data), ALIGNMENT)
    builder.head -= len(data)
    builder.Bytes[builder.head : builder.head + len(data)] = data
    return builder.EndVector()


def _dict(table, kind, schema):
    from flatbuffers import number_types

    values, slot = {}, 0
    for name, form in schema[kind]:
        if isinstance(form, tuple):
            place, here = (table.Offset(4 + 2 * (slot + i)) for i in range(2))
            slot += 2
            tag = table.Get(number_types.Uint8Flags, table.Pos + place) if place else 0
            if here and 0 < tag <= len(form):
                inner = _inner(table, table.Pos + here)
                values[name] = (form[tag - 1], _dict(inner, form[tag - 1], schema))
            continue
        here = table.Offset(4 + 2 * slot)
        slot += 1
        if here:
            values[name] = _value(table, table.Pos + here, form, schema)
    return values


def _value(table, place, form, schema):
    from flatbuffers import number_types

    if isinstance(form, list):
        place += table.Get(number_types.UOffsetTFlags, place)
        count = table.Get(number_types.UOffsetTFlags, place)
        step = NUMBERS.get(form[0], 4)
        if place + 4 + count * step > len(table.Bytes):
            raise IndexError(f"a list of {count} is longer than its file")
        return [_value(table, place + 4 + i * step, form[0], schema) for i in range(count)]
    if form in NUMBERS:
        value = table.Get(getattr(number_types, f"{form.capitalize()}Flags"), place)
        return float(str(np.float32(value))) if form == "float32" else value
    if form == "string":
        return table.String(place).decode()
    if form == "bytes":
        place += table.Get(number_types.UOffsetTFlags, place)
        count = table.Get(number_types.UOffsetTFlags, place)
        return bytes(table.Bytes[place + 4 : place + 4 + count])
    return _dict(_inner(table, place), form, schema)


def _inner(table, place):
    from flatbuffers.table import Table

    return Table(table.Bytes, table.Indirect(place))
