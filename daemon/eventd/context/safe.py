"""Stored text made fit for a prompt: it stays readable, and cannot pose as anything but a quotation.

What somebody once wrote to an agent comes back into the agent's system prompt, so it must neither end the
quotation nor look like a turn of the conversation, a template token, a heading or a notice of the system, and
it must not carry what a person does not see. Nothing is dropped silently: what is defused stands between
‹ and ›, and a code fence becomes '''.

This is no filter of bad intentions (none works); it keeps the frame intact that calls the text data.
"""

import re

OPENING_QUOTE, CLOSING_QUOTE = "“", "”"
"""Around stored text that shares a line with ours; they become " where the text itself has them."""

LINE_MARK = "> "  # before each line of a text that has lines of its own
NEXT_LINE = " / "  # stands for the end of a line where a text has to fit into one
MAX_LABEL = 64  # characters of a name that others choose: sessions, agents, tools, categories

_LINE_ENDS = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_SPACES = re.compile("[\t\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_TRAILING = re.compile(r"(?<![ \t])[ \t]*\n(?:[ \t]*\n)*")

# Controls, marks of direction, what has no width, tag characters, variation selectors, halves of pairs.
_HIDDEN = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff\ud800-\udfff]+"
)
# What joins the parts of an emoji, or letters of scripts that need it.
_JOINERS = frozenset({"\ufe0f", "\ufe0e", "\u200d", "\u200c", "\ufe0f\u200d"})
_FIRST_JOINED = 0x0600  # below this code point nothing is joined, save © ® and keycaps
_KEYCAPS = frozenset("0123456789#*©®")

_TAGS = (
    r"system[\w-]*|assistant[\w-]*|user[\w-]*|human[\w-]*|developer[\w-]*|messages?|role|im_\w+|admin\w*|"
    r"s|sys|inst|instructions?|tool[\w-]*|functions?[\w-]*|invoke|parameter|antml[\w:-]*|prompt[\w-]*|context[\w-]*|think\w*|scratchpad|"
    r"memory[\w-]*|memories|eventd[\w-]*|documents?|important|bos|eos|pad|unk|"
    r"(?:start|end|begin|begin_end)_(?:of_)?\w+"
)
_LESS, _MORE = "[<＜﹤]", "[>＞﹥]"
_FOREIGN = r"[\w-]*[^\W\x00-\x7f]"
"""A name with a letter that is none of ASCII: no tag has one, but it may look like one of these."""

_TAG = re.compile(
    r"<<(?P<sys>\s*+(?:/\s*+)?SYS\s*)>>"
    rf"|{_LESS}(?P<tag>\s*+(?:/\s*+)?(?:(?:{_TAGS})\b|{_FOREIGN})[^<>＜＞﹤﹥\n]{{0,120}}){_MORE}"
    rf"|{_LESS}(?=\s*+(?:/\s*+)?(?:(?:{_TAGS})\b|{_FOREIGN}))",
    re.IGNORECASE,
)
_MARKUP = re.compile(
    rf"(?P<bar>{_LESS}(?=\s?[|｜]))|(?P<endbar>(?<=[|｜]){_MORE}|(?<=[|｜]\s){_MORE})"
    r"|[\[［](?P<inst>\s*+(?:/\s*+)?(?:INST|SYS|SYSTEM[\w ]{0,20}|AVAILABLE_TOOLS|TOOL_\w+)\s*)[\]］]"
    r"|(?P<ticks>`{3,})|(?P<tildes>~{3,})",
    re.IGNORECASE,
)
_ROLE = re.compile(
    r"^(?P<lead>[ >*_#\-\d.)•·–—]*+)(?P<role>system|human|assistant|user|developer|tool|ai|model|"
    r"instructions?)(?P<tail>(?: ?(?:message|prompt|notice|instructions?))?[*_]{0,3}[ ]{0,3}[:：])",
    re.IGNORECASE | re.MULTILINE,
)
_HEADING = re.compile(r"^([ \t]{0,8})(#{1,6})(?=[ \t]|$)", re.MULTILINE)
_LABEL = re.compile(r"[^\w:.@/+*~-]+")
_UUID = re.compile(r"\b([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.IGNORECASE)


def defuse(text: str) -> str:
    """Return a text with everything defused that is more than text; its lines are kept, empty ones not."""
    # Most texts are plain; looking for single characters first spares them the expressions.
    if not (text.isascii() and text.replace("\n", "").isprintable()):
        text = _SPACES.sub(" ", _LINE_ENDS.sub("\n", text))
        text = _HIDDEN.sub(_show, text)
    if any(char in text for char in "<＜﹤[［`~|｜"):
        text = _MARKUP.sub(_defuse_markup, _TAG.sub(_defuse_tag, text))
    if "#" in text:
        text = _HEADING.sub(r"\1‹\2›", text)
    if ":" in text or "：" in text:
        text = _ROLE.sub(r"\g<lead>‹\g<role>›\g<tail>", text)
    if "\n" in text:
        text = _TRAILING.sub("\n", text)
    return text.strip()


def one_line(text: str) -> str:
    """Return a defused text as one line that can stand between our quotation marks."""
    if "\n" in text:
        text = NEXT_LINE.join(part for part in text.split("\n") if part.strip())
    return " ".join(text.split()).replace(OPENING_QUOTE, '"').replace(CLOSING_QUOTE, '"')


def quote(text: str) -> str:
    """Return a defused text with our mark before each of its lines."""
    return LINE_MARK + text.replace("\n", "\n" + LINE_MARK)


def label(name: str, limit: int = MAX_LABEL) -> str:
    """Return a name that others chose as one word; a UUID is cut to what still finds it: `1b4e28ba*`."""
    name = _LABEL.sub("_", _HIDDEN.sub("_", _UUID.sub(r"\1*", name[: 4 * limit])))
    return name if len(name) <= limit else name[: limit - 1] + "*"


def _show(found: re.Match[str]) -> str:
    run = found.group()
    if run in _JOINERS and _joins(found):
        return run
    times = f" ×{len(run)}" if len(run) > 1 else ""
    return f"‹U+{ord(run[0]):04X}{times}›"


def _joins(found: re.Match[str]) -> bool:
    text, run = found.string, found.group()
    before = text[found.start() - 1] if found.start() else ""
    after = text[found.end()] if found.end() < len(text) else ""
    if not before or not (ord(before) >= _FIRST_JOINED or before in _KEYCAPS):
        return False
    return ("\u200d" not in run and "\u200c" not in run) or (bool(after) and ord(after) >= _FIRST_JOINED)


def _defuse_tag(found: re.Match[str]) -> str:
    if found.lastgroup == "sys":
        return f"‹‹{found.group('sys')}››"
    return f"‹{found.group('tag')}›" if found.lastgroup == "tag" else "‹"


def _defuse_markup(found: re.Match[str]) -> str:
    kind = found.lastgroup
    if kind == "inst":
        return f"‹{found.group('inst')}›"
    return {"bar": "‹", "endbar": "›", "ticks": "'''", "tildes": "‹~~›"}[kind or "bar"]
