"""Words that a query does not ask for, and forms of words that stemming does not bring together."""

from collections.abc import Mapping

_ENGLISH = frozenset(
    """
    a about above after again against all am an and any are aren as at be because been before being below
    between both but by can cannot could couldn did didn do does doesn doing don down during each few for
    from further had hadn has hasn have haven having he her here hers herself him himself his how i if in
    into is isn it its itself just ll me might more most my myself no nor not now of off on once only or
    other our ours ourselves out over own re same shan she should shouldn so some such than that the their
    theirs them themselves then there these they this those through to too under until up ve very was wasn
    we were weren what when where which while who whom whose why will with won would wouldn you your yours
    yourself yourselves
    """.split()  # noqa: SIM905 - a list would be a page long
)

# Without those that may be words of weight in English: see `GERMAN`.
_GERMAN = frozenset(
    """
    aber als auch auf aus beim bist da damit dann das dass dein deine dem der des dich dir
    doch du ein eine einem einen einer eines etwas euch für gab gibt haben hatte hatten ich ihm ihn
    ihnen ihr ihre ist ja jede jeder kann kein keine mein meine mich mir nach nicht noch nur ob oder
    ohne schon sein seine sich sie sind so und uns unser unsere vom von vor wann warum was weil welche
    welcher welches wem wen wenn wer werden wie wieder wir wird wo wurde wurden zu zum zur über
    """.split()  # noqa: SIM905 - a list would be a page long
)
STOP = _ENGLISH | _GERMAN
"""Worth 3.4 points of recall@10 on LoCoMo, 5 on LongMemEval; ten more or fewer make less than 0.3."""

GERMAN = frozenset(
    """
    am an bei bin bis den die er es hab habe hast hat im in man mit um war waren will
    """.split()  # noqa: SIM905 - as the others
)
"""Left out too where another word of the query is German beyond doubt: bin, MIT and war are English too."""

GERMAN_FOR_SURE = frozenset(
    """
    aber als auch auf aus beim das dass dem der des du ein eine einen einer für haben hatte
    ich ihr ist kann kein keine mein meine mich mir nach nicht oder sie sind und uns unser von wann
    warum welche wem wenn wer wie wir wird wo wurde zu zum zur über
    """.split()  # noqa: SIM905 - a list would be a page long
)

_FORMS = """
become became, begin began begun, bend bent, blow blew blown, break broke broken, bring brought, build
built, buy bought, catch caught, choose chose chosen, come came, creep crept, deal dealt, dig dug, draw
drew drawn, dream dreamt, drink drank drunk, drive drove driven, eat ate eaten, fall fell fallen, feed fed,
feel felt, fight fought, find found, flee fled, fly flew flown, forget forgot forgotten, forgive forgave
forgiven, freeze froze frozen, get got gotten, give gave given, go went gone, grow grew grown, hang hung,
hear heard, hide hid hidden, hold held, keep kept, know knew known, lead led, learn learnt, leave left,
lend lent, lose lost, make made, mean meant, meet met, mistake mistook mistaken, overcome overcame, pay
paid, ride rode ridden, ring rang rung, rise rose risen, run ran, say said, see saw seen, seek sought, sell
sold, send sent, shake shook shaken, shoot shot, show shown, shrink shrank shrunk, sing sang sung, sink
sank sunk, sit sat, sleep slept, slide slid, speak spoke spoken, spend spent, spin spun, stand stood, steal
stole stolen, stick stuck, strike struck, swear swore sworn, sweep swept, swim swam swum, take took taken,
teach taught, tear tore torn, tell told, think thought, throw threw thrown, understand understood, wake
woke woken, wear wore worn, win won, withdraw withdrew withdrawn, write wrote written, child children, foot
feet, half halves, knife knives, life lives, man men, mouse mice, person people, shelf shelves, tooth
teeth, wife wives, wolf wolves, woman women
"""


def _grouped() -> dict[str, tuple[str, ...]]:
    groups = [tuple(group.split()) for group in _FORMS.replace("\n", " ").split(",")]
    return {form: group for group in groups for form in group}


FORMS: Mapping[str, tuple[str, ...]] = _grouped()
"""All forms of an irregular English word, under each of them.

Worth 0.9 points of recall@10 on LoCoMo, 0.5 on LongMemEval.
"""


def forms(word: str) -> tuple[str, ...]:
    """Return the word and its irregular forms: `buying` → buying, buy, bought."""
    for base in _bases(word):
        if base in FORMS:
            group = FORMS[base]
            return group if word in group else (word, *group)
    return (word,)


def _bases(word: str) -> tuple[str, ...]:
    if word.endswith("ing") and len(word) > 5:
        return word, word[:-3], f"{word[:-3]}e", word[:-4]
    if word.endswith("s") and len(word) > 3:
        return word, word[:-1], word[:-2]
    return (word,)
