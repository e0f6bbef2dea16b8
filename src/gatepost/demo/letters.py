"""Mail that people at the demo's company want: templates in English and Japanese, from which `mailbag` makes hundreds.

A template's paragraphs are alternatives; words in braces are filled in.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One kind of message."""

    authors: tuple[str, ...]
    subjects: tuple[str, ...]
    paragraphs: tuple[tuple[str, ...], ...]
    """One of each is taken, in order."""
    html: bool = False
    """It comes with an HTML part beside the text."""
    links: tuple[str, ...] = ()
    """What ``{link}`` becomes."""


WANTED: tuple[Template, ...] = (
    Template(
        authors=("Ben <ben@harbour.example>", "Chie <chie@harbour.example>", "Ana <ana@harbour.example>"),
        subjects=("Meeting on {day}", "Agenda for {day}", "Re: {project}", "{project}: where we stand", "Notes from {day}"),
        paragraphs=(
            ("Hi {name},", "Hello {name},", "{name},", "Good morning {name},"),
            ("here are my notes from the meeting about {project}. We agreed to finish the {part} by {day}.",
             "could we move our talk about {project} to {day}? The {part} is not done yet and I would like to show it.",
             "the {part} of {project} looks good to me. Two remarks are in the margin; nothing that keeps us from going on.",
             "I went through the {part} again. The figures for last month do not add up: we have {number} where the report says {number2}."),
            ("Shall we sit down for half an hour before lunch?", "I have booked the small room upstairs.",
             "{name2} will bring the drawings.", "Please have a look before {day}, then I can answer the customer."),
            ("Best, {sign}", "Thanks, {sign}", "See you, {sign}", "Cheers\r\n{sign}"),
        ),
    ),
    Template(
        authors=("Books <orders@books.example>", "Paper & Ink <service@stationery.example>", "Tools <orders@tools.example>"),
        subjects=("Your order {number}", "Order {number} has left our shop", "Delivery note {number}", "Your order has been received"),
        paragraphs=(
            ("Dear {name},", "Hello {name},"),
            ("thank you for your order of {day}. We have packed {count} {goods} and handed the parcel to the carrier.",
             "your {count} {goods} are on their way and should arrive on {day}.",
             "we received your order of {count} {goods}. One of them is printed on demand and takes until {day}."),
            ("The invoice over {amount} EUR is in the parcel.", "You can follow the parcel under {link}.",
             "Total {amount} EUR, paid by card. Delivery address as last time."),
            ("With kind regards\r\nYour bookseller", "Kind regards\r\nCustomer service", "If anything is missing, just answer this mail."),
        ),
        links=("https://books.example/orders/{number}", "https://stationery.example/parcel/{number}"),
    ),
    Template(
        authors=("Accounts <billing@power.example>", "Harbour Authority <invoices@port.example>", "Telephone <bills@phone.example>"),
        subjects=("Invoice {number}", "Your invoice for {month}", "Statement of account, {month}"),
        paragraphs=(
            ("Dear Sir or Madam,", "Dear customer,", "Dear {name},"),
            ("please find our invoice {number} for {month} over {amount} EUR. It is due on {day}.",
             "we have debited {amount} EUR for {month} from your account as agreed.",
             "berth {number} was used on {count} days in {month}; that makes {amount} EUR."),
            ("You find all earlier invoices in your customer portal: {link}", "Please quote the invoice number when you pay.",
             "Questions are answered by {name2}, extension {count}."),
            ("Yours faithfully\r\nAccounts department", "Kind regards\r\n{name2}"),
        ),
        html=True,
        links=("http://power.example/portal", "https://port.example/invoices/{number}", "https://phone.example/my"),
    ),
    Template(
        authors=("Mika <mika@friends.example>", "Jon <jon@friends.example>", "Aunt Vera <vera@family.example>"),
        subjects=("{day}?", "Photos", "How are you?", "The boat", "Dinner on {day}", "Re: the lighthouse"),
        paragraphs=(
            ("Hi {name},", "Dear {name},", "Hello you two,"),
            ("shall we walk to the lighthouse on {day} if it stays dry? {name2} would come along with the dog.",
             "I put the photos of the regatta into the album. You are in at least {count} of them, mostly wet.",
             "the old boat needs paint before the summer. Have you still got the brush and the {goods}?",
             "your cousin has passed the exam, and we would like to have everybody here on {day}. Bring nothing but hunger."),
            ("The train at ten would do.", "Tell me what suits you.", "Grandmother asks for you every time she calls.", "I cook, you wash up."),
            ("Love, {sign}", "Until soon\r\n{sign}", "{sign}"),
        ),
    ),
    Template(
        authors=("Sailors <sailors-bounces@list.example>", "Teller <teller@bank.example>", "Knots <knots@list.example>"),
        subjects=("[sailors] Knots", "[sailors] Re: anchor chain", "[sailors] Tide tables for {month}", "[sailors] Which {goods}?"),
        paragraphs=(
            ("On {day}, {name} wrote:\r\n> which {goods} do you use for a boat of {count} feet?",
             "On {day}, {name2} wrote:\r\n> the anchor dragged again last night"),
            ("A bowline never slips, and it can be undone when it is wet.",
             "We had the same off the north pier. More chain helps more than a heavier anchor.",
             "I compared the tables with the gauge in the harbour: {count} minutes apart at most.",
             "The rope from the chandler lasted {count} seasons. I would buy it again."),
            ("{name}", "Fair winds\r\n{name2}"),
            ("_______________________________________________\r\nsailors mailing list\r\nhttp://list.example/sailors",),
        ),
    ),
    Template(
        authors=("Harbour Museum <news@museum.example>", "Chandler's news <news@chandler.example>", "City Library <library@city.example>"),
        subjects=("News from the museum, {month}", "Our {month} newsletter", "New in the library", "Opening hours in {month}"),
        paragraphs=(
            ("Dear friends of the house,", "Dear reader,", "Good day {name},"),
            ("in {month} we show {count} ship models that have not left the depot for a generation. The opening is on {day}.",
             "our reading room is open until eight again. {count} new titles about the sea have come in this month.",
             "the workshop on splicing begins on {day}; {count} places are still free. Members pay nothing."),
            ("The whole programme: {link}", "Guided tours start on the hour. Groups please call first."),
            ("You receive this letter because you are a member. To end it, answer with one word or follow {link}",),
        ),
        html=True,
        links=("https://museum.example/programme", "https://chandler.example/news/{month}", "http://city.example/library"),
    ),
    Template(
        authors=("Build <ci@harbour.example>", "Monitoring <monitor@harbour.example>", "Backup <backup@harbour.example>"),
        subjects=("Backup of {day}: done", "[build {number}] passed", "Disk of host{count} at {count}%", "Nightly report"),
        paragraphs=(
            ("Job {number} finished after {count} minutes.", "Host host{count}, service web: recovered."),
            ("{number} files copied, 0 failed. Next run on {day}.", "All {number} tests passed, {count} skipped.",
             "Load average 0.{count}, memory {count} % in use, no errors in the log."),
            ("Log: {link}", "This message was written by a machine. Nothing needs to be done."),
        ),
        links=("https://ci.harbour.example/job/{number}",),
    ),
    Template(
        authors=("Personnel <personnel@harbour.example>", "Office <office@harbour.example>"),
        subjects=("Holiday plan for {month}", "Fire drill on {day}", "Summer party", "New colleague"),
        paragraphs=(
            ("Dear colleagues,", "Hello all,"),
            ("please enter your holidays for {month} into the plan in the office by {day}.",
             "the fire drill is on {day} at eleven. Leave by the north stairs and meet at the crane.",
             "{name2} joins the workshop on {day}. Say hello, and show the coffee machine.",
             "the party is on {day} on the quay. {count} people have said yes so far; who brings a salad?"),
            ("Thank you\r\nThe office", "Questions: extension {count}."),
        ),
    ),
    Template(
        authors=("田中 <tanaka@yokohama.example>", "佐藤 <sato@osaka.example>", "知恵 <chie@harbour.example>"),
        subjects=("{day_ja}の打ち合わせについて", "お見積りの件", "資料をお送りします", "Re: 納品の日程", "{month_ja}の予定"),
        paragraphs=(
            ("{name_ja}様", "{name_ja}さん", "関係者各位"),
            ("いつもお世話になっております。{day_ja}の打ち合わせの資料をお送りします。ご確認をお願いいたします。",
             "先日はお時間をいただきありがとうございました。お見積りは合計{amount_ja}円になります。",
             "ロープ{count}本の納品は{day_ja}の午前中を予定しております。倉庫の場所は前回と同じです。",
             "{month_ja}の当番表を更新しました。都合の悪い日があれば、今週中に知らせてください。"),
            ("ご不明な点がございましたら、お気軽にお問い合わせください。", "会議室は二階を予約してあります。", "取り急ぎご連絡まで。"),
            ("よろしくお願いいたします。\r\n田中", "どうぞよろしくお願いいたします。\r\n佐藤", "知恵より"),
        ),
    ),
    Template(
        authors=("港の書店 <orders@shoten.example>", "電力 <bills@denryoku.example>", "市立図書館 <library@toshokan.example>"),
        subjects=("ご注文{number}の発送のお知らせ", "{month_ja}分のご請求", "図書館からのお知らせ", "ご注文ありがとうございます"),
        paragraphs=(
            ("{name_ja}様", "お客様各位"),
            ("ご注文の本{count}冊を本日発送いたしました。{day_ja}にお届けの予定です。",
             "{month_ja}分の電気料金は{amount_ja}円です。{day_ja}に口座から引き落とされます。",
             "ご予約の本が用意できました。{day_ja}までに二階の窓口でお受け取りください。"),
            ("お問い合わせ番号は{number}です。", "明細は会員ページ {link} でご覧いただけます。"),
            ("またのご利用をお待ちしております。", "今後ともよろしくお願い申し上げます。"),
        ),
        links=("https://shoten.example/orders/{number}", "http://denryoku.example/meisai"),
    ),
)  # fmt: skip
"""Kinds of wanted mail."""
