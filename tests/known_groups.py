"""The groups of `models_with_units`, written down from their layers; none was read off a tool.

A group is `size: leaf axis, ...`, with `{a,b}` for either and `[outer,size,inner]` (after `start:`)
where the units share the axis. Three symmetries are not among them, all for one reason: a UnitAxis
moves the units of a whole leaf, so that none can be moved within one layer of a stack, one head of
an attention or one group of a normalisation alone, as the function would allow.
"""

import itertools
import re

_STREAM = """
    {block}.{LayerNorm_0,LayerNorm_1}.{bias,scale} {0}, {block}.{down,attention.out}.bias {0},
    {block}.attention.{query,key,value}.kernel {0}, {block}.attention.out.kernel {2},
    {block}.up.kernel {0}, {block}.down.kernel {1}
"""
_BLOCK = """
    2: {block}.attention.{query,key,value}.kernel {1}, {block}.attention.out.kernel {0},
       {block}.attention.{query,key,value}.bias {0};
    3: {block}.attention.{query,key}.kernel {2}, {block}.attention.{query,key}.bias {1};
    3: {block}.attention.value.kernel {2}, {block}.attention.value.bias {1},
       {block}.attention.out.kernel {1};
    8: {block}.up.kernel {1}, {block}.up.bias {0}, {block}.down.kernel {0}
"""
_HAIKU_BLOCK = """
    2: {at}attention/{query,key,value}.w {1}[1,2,3], {at}attention/{query,key,value}.b {0}[1,2,3],
       {at}attention/linear.w {0}[1,2,3];
    3: {at}attention/{query,key}.w {1}[2,3,1], {at}attention/{query,key}.b {0}[2,3,1];
    3: {at}attention/value.w {1}[2,3,1], {at}attention/value.b {0}[2,3,1],
       {at}attention/linear.w {0}[2,3,1];
    8: {at}up.w {1}, {at}up.b {0}, {at}down.w {0};
    6: first.w 1, first.b 0, head.w 0, {at}{norm_1,norm_2}.{scale,offset} {0},
       {at}attention/{query,key,value}.w {0}, {at}attention/linear.{w {1},b {0}},
       {at}up.w {0}, {at}down.{w {1},b {0}}
"""


def _at(text, first=0, **names):
    """A block's groups, its axes counted from `first` on: 1 where blocks are stacked."""
    text = re.sub(r"\{(\d)\}", lambda match: str(int(match[1]) + first), text)
    for name, value in names.items():
        text = text.replace(f"{{{name}}}", value)
    return text


KNOWN = {
    "linen mlp": """
        5: Dense_0.{kernel 1,bias 0}, Dense_1.kernel 0;
        4: Dense_1.{kernel 1,bias 0}, Dense_2.kernel 0
    """,
    "linen cnn, flat": """
        4: Conv_0.{kernel 3,bias 0}, Conv_1.kernel 2;
        6: Conv_1.{kernel 3,bias 0}, LayerNorm_0.{scale,bias} 0, Dense_0.kernel 0[4,6,1]
    """,
    "linen cnn, pooled": """
        4: Conv_0.{kernel 3,bias 0}, Conv_1.kernel 2;
        6: Conv_1.{kernel 3,bias 0}, LayerNorm_0.{scale,bias} 0, Dense_0.kernel 0
    """,
    "linen gru": """
        4: GRUCell_0.{ir,iz,in}.{kernel 1,bias 0}, GRUCell_0.{hr,hz,hn}.kernel {0,1},
           GRUCell_0.hn.bias 0, Dense_0.kernel 0
    """,
    "linen lstm": """
        4: OptimizedLSTMCell_0.{ii,if,ig,io}.kernel 1, Dense_0.kernel 0,
           OptimizedLSTMCell_0.{hi,hf,hg,ho}.{kernel 0,kernel 1,bias 0}
    """,
    "linen transformer": f"""
        6: embed.embedding 1, place 1, norm.{{scale,bias}} 0,
           {_at(_STREAM, block="block_0")}, {_at(_STREAM, block="block_1")};
        {_at(_BLOCK, block="block_0")}; {_at(_BLOCK, block="block_1")}
    """,
    "linen scanned transformer": f"""
        6: embed.embedding 1, place 1, norm.{{scale,bias}} 0, {_at(_STREAM, 1, block="blocks")};
        {_at(_BLOCK, 1, block="blocks")}
    """,
    "linen mixer": """
        6: patches.{kernel 3,bias 0}, {norm_1,norm_2}.{scale,bias} 0, channels_up.kernel 0,
           channels_down.{kernel 1,bias 0}, head.kernel 0;
        5: tokens_up.{kernel 1,bias 0}, tokens_down.kernel 0;
        7: channels_up.{kernel 1,bias 0}, channels_down.kernel 0
    """,
    "nnx transformer": """
        6: first.{kernel 1,bias 0}, norm.{scale,bias} 0, attention.{query,key,value}.kernel 0,
           attention.out.{kernel 2,bias 0}, last.kernel 0;
        2: attention.{query,key,value}.{kernel 1,bias 0}, attention.out.kernel 0;
        3: attention.{query,key}.{kernel 2,bias 1};
        3: attention.value.{kernel 2,bias 1}, attention.out.kernel 1
    """,
    "equinox mlp": """
        5: layers.0.{weight 0,bias 0}, layers.1.weight 1;
        5: layers.1.{weight 0,bias 0}, layers.2.weight 1
    """,
    "equinox cnn": """
        4: layers.0.{weight 0,bias 0}, layers.3.weight 1;
        6: layers.3.{weight 0,bias 0}, layers.5.weight 1[1,6,4]
    """,
    "equinox lstm": """
        4: cell.{weight_ih,weight_hh,bias} 0[4,4,1], cell.weight_hh 1, last.weight 1
    """,
    "equinox transformer": """
        6: first.{weight,bias} 0, norm.{weight,bias} 0, up.weight 1,
           attention.{query_proj,key_proj,value_proj}.weight 1, attention.output_proj.weight 0;
        2: attention.query_proj.bias 0[1,2,3], attention.output_proj.weight 1[1,2,3],
           attention.{query_proj,key_proj,value_proj}.weight 0[1,2,3];
        3: attention.query_proj.bias 0[2,3,1], attention.{query_proj,key_proj}.weight 0[2,3,1];
        3: attention.value_proj.weight 0[2,3,1], attention.output_proj.weight 1[2,3,1];
        4: up.{weight,bias} 0[2,4,1], last.weight 1
    """,
    "haiku mlp": """
        5: mlp/~/linear_0.{w 1,b 0}, mlp/~/linear_1.w 0;
        4: mlp/~/linear_1.{w 1,b 0}, mlp/~/linear_2.w 0
    """,
    "haiku cnn": """
        2: {conv,depthwise}.{w 3,b 0}[1,2,2], norm.{scale,offset} 0[1,2,2], head.w 0[1,2,2];
        2: {conv,depthwise}.{w 3,b 0}[2,2,1], norm.{scale,offset} 0[2,2,1], head.w 0[2,2,1]
    """,
    "haiku gru": "4: core.{w_i 1,w_h 1,b 0}[3,4,1], core.w_h 0, head.w 0",
    "haiku lstm": "4: core/linear.{w 1,b 0}[4,4,1], core/linear.w 0[3:1,4,1], head.w 0",
    "haiku transformer": _at(_HAIKU_BLOCK, at=""),
    "haiku stacked transformer": _at(_HAIKU_BLOCK, 1, at="stack/"),
}


def known_groups(name):
    """`{(size, {(leaf, axis, outer, inner, start), ...}), ...}`."""
    return read_groups(KNOWN[name])


def read_groups(text):
    """Groups that are written as `KNOWN` has them; none in an empty text."""
    return {_read(group) for group in text.split(";") if group.strip()}


def groups_as_read(groups):
    """Found groups in the same words."""
    return {
        (
            group.size,
            frozenset(
                (_leaf(unit.path), unit.axis, unit.outer, unit.inner, unit.start)
                for unit in group.axes
            ),
        )
        for group in groups
    }


def _leaf(path):
    """Dots for slashes: a leaf's path in the braces above, and haiku's names hold slashes too."""
    return path.replace("/", ".")


def _read(text):
    size, _, places = text.partition(":")
    found = set()
    for place in itertools.chain(*map(_either, re.split(r",\s*(?![^{]*\}|[^\[]*\])", places))):
        match = re.fullmatch(r"(\S+) (\d)(?:\[(?:(\d+):)?(\d+),(\d+),(\d+)\])?", place.strip())
        if match is None or match[5] not in (None, size.strip()):
            raise ValueError(f"{place!r} is no place of {size} units")
        leaf, axis, start, outer, _, inner = match.groups()
        found.add((_leaf(leaf), int(axis), int(outer or 1), int(inner or 1), int(start or 0)))
    return int(size), frozenset(found)


def _either(text):
    """A text with `{a,b}` written out as the texts it stands for."""
    match = re.search(r"\{([^{}]*)\}", text)
    if match is None:
        return [text]
    before, after = text[: match.start()], text[match.end() :]
    return list(itertools.chain(*(_either(before + each + after) for each in match[1].split(","))))
