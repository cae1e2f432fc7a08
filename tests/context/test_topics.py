"""What conversations are about, in several languages and manners."""

from collections.abc import Sequence

import pytest

from eventd.context.reading import Message
from eventd.context.source import Mark
from eventd.context.topics import topics
from eventd.events.types import Kind


def talk(*texts: str, sessions: Sequence[str] = ("s",)) -> list[Message]:
    """Questions and answers in turn."""
    messages = []
    for place, text in enumerate(texts):
        kind = Kind.MESSAGE_OUT if place % 2 else Kind.MESSAGE_IN
        session = sessions[place % len(sessions)]
        messages.append(Message(Mark(place, session, "", kind, place, place, "", "", "", 0), place, text))
    return messages


def named(*texts: str) -> list[str]:
    return [topic.text for topic in topics(talk(*texts), 8)]


CASES = {
    "english": (
        [
            "Can you look at the rate limiter in auth.py? It drops requests from the mobile app.",
            "The rate limiter counts per process. With four workers, the mobile app gets a quarter.",
            "ok so use redis for the rate limits then",
            "Done: auth.py now keeps the rate limit counters in Redis, with a Lua script.",
            "And the mobile app tests?",
            "All 14 mobile app tests pass. The Redis container is started by conftest.py.",
        ],
        ["mobile app", "rate limiter", "Redis", "auth.py"],
    ),
    "german": (
        [
            "Kannst du bitte die Rechnung für die Gärtnerei Müller prüfen?",
            "Die Rechnung der Gärtnerei Müller ist offen: 1 240 €, fällig am Freitag.",
            "Und die Umsatzsteuer? Wir müssen die Umsatzsteuervoranmeldung bis Montag abgeben.",
            "Die Umsatzsteuervoranmeldung ist vorbereitet. Es fehlen noch zwei Rechnungen vom Steuerberater.",
            "Schreib dem Steuerberater eine Mail wegen der fehlenden Rechnungen.",
            "Erledigt, die Mail an den Steuerberater ist verschickt.",
        ],
        ["Rechnung", "Steuerberater", "Gärtnerei Müller", "Umsatzsteuervoranmeldung"],
    ),
    "lower-case chat": (
        [
            "hey can u check why the home assistant dashboard is so slow",
            "the dashboard loads 40 camera cards at once, thats why its slow",
            "ah ok lol. can we lazy load the camera cards?",
            "yes, lazy loading camera cards now, dashboard opens in 1s",
            "awesome, and the vacuum keeps getting stuck under the sofa btw",
            "added a no-go zone under the sofa for the vacuum",
        ],
        ["camera cards", "sofa", "vacuum", "dashboard"],
    ),
    "lower-case german": (
        [
            "moin, hast du die backups vom nas schon geprüft?",
            "ja, das backup von gestern auf dem nas ist ok, aber die zweite platte meldet fehler",
            "mist, bestell bitte ne neue platte fürs nas",
            "platte ist bestellt, kommt morgen",
        ],
        ["platte", "nas", "backup"],
    ),
    "code": (
        [
            "fix the flaky test in tests/test_outbox.py, it fails with sqlite3.OperationalError",
            "`test_outbox.py` opened two connections; the checkpoint raced. I set busy_timeout.",
            "does busy_timeout slow down the writer thread?",
            "No, busy_timeout only matters when the writer thread and the checkpoint collide. See #412.",
            "close #412 then",
            "```\ndef secret_helper(): secret_helper()\n``` done",
        ],
        ["busy_timeout", "#412", "writer thread", "test_outbox.py", "checkpoint"],
    ),
    "mixed, with emoji": (
        [
            "Can you summarize the Kubernetes talk?",
            "The Kubernetes talk covers operators.",
            "danke! und jetzt bitte den Flug nach Lissabon buchen",
            "Der Flug nach Lissabon ist gebucht, Kubernetes-Notizen liegen bei.",
            "🎉🎉 super",
            "👍",
        ],
        ["Flug", "Lissabon", "Kubernetes"],
    ),
    "chinese": (
        ["请帮我检查数据库迁移的计划", "数据库迁移计划在周五早上六点", "数据库备份完成了吗",
         "数据库备份已经完成", "好的 谢谢", "不客气"],
        ["数据库", "备份", "完成", "计划", "迁移"],
    ),
    "japanese": (
        ["データベースの移行はいつですか？", "データベースの移行は金曜日です。",
         "バックアップは終わりましたか",
         "はい、バックアップは終わりました。データベースも確認しました。"],
        ["データベース", "バックアップ", "移行"],
    ),
    "korean": (
        ["데이터베이스 이전은 언제예요?", "데이터베이스 이전은 금요일입니다.", "백업은 끝났나요?",
         "네, 데이터베이스 백업을 끝냈습니다."],
        ["데이터베이스", "백업", "이전"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_examples(case: str) -> None:
    """What a person would name, and nothing else."""
    texts, expected = CASES[case]
    assert named(*texts) == expected


def test_days_fillers_and_stop_words_are_no_topics() -> None:
    """However often they come."""
    assert named(*["Thanks! See you on Monday then, have a nice day, ok?"] * 6) == []
    assert named(*["Danke, bis Montag dann, ja? Alles klar."] * 6) == []


def test_a_loud_message_is_one_message() -> None:
    """Repeating a word does not make it a topic."""
    assert named("spam " * 300, "eggs", "ham", "tea", "jam", "pie") == []


def test_topics_count_messages_and_sessions() -> None:
    """What several sessions mention comes before what only one does."""
    found = topics(talk(*["the teapot", "the kettle"] * 3, sessions=("a", "a", "b", "a", "c", "a")), 8)
    assert [(topic.text, topic.messages, topic.sessions) for topic in found] == [
        ("teapot", 3, 3),
        ("kettle", 3, 1),
    ]


def test_much_text_is_bounded_work() -> None:
    """What is beyond the caps is not looked at: neither the end of a long message nor the oldest ones."""
    long = [
        "teapot " + "and so on. " * 500 + "kettle",
        "The teapot it is." + " and so on." * 500 + "kettle",
    ] * 3
    assert named(*long) == ["teapot"]
    assert "teapot" not in named("teapot", "teapot", *["What about the kettle?", "It is hot."] * 200)
