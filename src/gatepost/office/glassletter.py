"""What an owner reads when somebody may look at their held mail. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from gatepost.store.glass import Breaking

WORDS = {
    "en": (
        "Somebody may read mail that is held for you",
        (
            "{who} may read mail that is held for {owner}, until {ends}.\n\nThe reason given: {reason}\n{second}\n"
            'Every look is on record: sign in to the console and open "Who looked at my mail".\n'
            "If this should not be, ask your data protection officer.\n"
        ),
        "Agreed to by: {second}\n",
    ),
    "ja": (
        "あなたの保留メールの閲覧が許可されました",
        (
            "{who} が、{owner} あての保留メールを {ends} まで閲覧できます。\n\n理由: {reason}\n{second}\n"
            "すべての閲覧は記録されます。コンソールにサインインし、「自分のメールの閲覧記録」で確認できます。\n"
            "心当たりがないときは、データ保護責任者に問い合わせてください。\n"
        ),
        "承認者: {second}\n",
    ),
}


def words_for(breaking: Breaking, language: str) -> tuple[str, str]:
    """Subject and text."""
    subject, text, agreed = WORDS.get(language, WORDS["en"])
    ends = datetime.fromtimestamp(breaking.ends_at or breaking.asked_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    second = agreed.format(second=breaking.decided_who) if breaking.decided_who else ""
    return subject, text.format(
        who=breaking.asked_who, owner=breaking.owner, ends=ends, reason=breaking.reason, second=second
    )
