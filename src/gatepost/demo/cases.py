"""The demo's messages: each a small story a postmaster has met."""

from __future__ import annotations

from gatepost.demo.attacks import ATTACKS
from gatepost.demo.story import Case, at_ours

CASES: tuple[Case, ...] = (
    Case(
        name="ham", about="an order confirmation: SPF, DKIM and DMARC pass, from a known, welcome host",
        client="192.0.2.10", hello="mail.books.example", sender="orders@books.example", to=at_ours("ana"),
        author="Books <orders@books.example>", subject="Your order has left our shop",
        text="Dear Ana,\r\n\r\nyour three books are on their way and should arrive on Thursday.\r\n", sign="books.example",
    ),
    Case(
        name="letter", about="a friend writes from a domain without DMARC: delivered, and said so",
        client="192.0.2.40", hello="mail.friends.example", sender="mika@friends.example", to=at_ours("ben", "chie"),
        author="Mika <mika@friends.example>", subject="Sunday?",
        text="Hi both,\r\n\r\nshall we walk to the lighthouse on Sunday if it stays dry?\r\n\r\nMika\r\n",
    ),
    Case(
        name="spoof", about="the bank's name, a stranger's server: DMARC p=reject, and nothing speaks for a forwarder",
        client="203.0.113.25", hello="mail.bulk.example", sender="security@bank.example", to=at_ours("ana"),
        author="Your Bank <security@bank.example>", subject="Your account will be closed today",
        text="Dear customer,\r\n\r\nconfirm your details now: http://bank-example.login.example/\r\n",
    ),
    Case(
        name="broken", about="the bank's own mail with a footer added on its way: the signature no longer fits",
        client="198.51.100.7", hello="relay.elsewhere.example", sender="news@bank.example", to=at_ours("ben"),
        author="Bank News <news@bank.example>", subject="Opening hours in December",
        text="Our branches close at noon on the 24th.\r\n", sign="bank.example", spoil="body",
    ),
    Case(
        name="list", about="a mailing list tags the subject: the author's signature breaks, the list's signs that it is one",
        client="192.0.2.50", hello="mail.list.example", sender="sailors-bounces@list.example", to=at_ours("chie"),
        author="Teller <teller@bank.example>", subject="Knots", text="A bowline never slips.\r\n", sign="bank.example",
        spoil="subject", extra=(("List-Id", "<sailors.list.example>"), ("List-Post", "<mailto:sailors@list.example>")),
    ),
    Case(
        name="forwarded", about="a forwarder we trust vouches with ARC that DMARC passed when the mail reached it",
        client="192.0.2.60", hello="mail.forwarder.example", sender="orders@books.example", to=at_ours("ana"),
        author="Books <orders@books.example>", subject="Invoice 2041", text="The invoice for your order.\r\n",
        sign="books.example", spoil="body", seal="forwarder.example",
    ),
    Case(
        name="listed", about="a client on two block lists (which only observe at first): see what it would have cost",
        client="203.0.113.66", hello="mail.bulk.example", sender="offers@bulk.example", to=at_ours("ana", "ben"),
        author="Offers <offers@bulk.example>", subject="Price list for spring",
        text="Dear colleagues,\r\n\r\nplease find our price list for spring.\r\n\r\nKind regards\r\n",
    ),
    Case(
        name="shop", about="a forged sender at a domain that asks for quarantine: goes to Junk",
        client="203.0.113.67", hello="localhost", sender="service@shop.example", to=at_ours("ben"),
        author="Shop <service@shop.example>", subject="Invoice 2042", text="The invoice for your order of Thursday.\r\n",
    ),
    Case(
        name="two-authors", about="two From fields, so that two readers would see two authors: nobody is proved",
        client="203.0.113.25", hello="mail.bulk.example", sender="a@bulk.example", to=at_ours("ana"),
        author="Bank <ceo@bank.example>", subject="Wire transfer", text="Are you at your desk?\r\n",
        extra=(("From", "Somebody <a@bulk.example>"),),
    ),
    Case(
        name="silent", about="the sender's name servers do not answer: asked to come back, not refused and not passed",
        client="203.0.113.70", hello="mx.silent.example", sender="info@silent.example", to=at_ours("ben"),
        author="Info <info@silent.example>", subject="Hello", text="Is anybody there?\r\n",
    ),
    Case(
        name="tampered", about="somebody tampered with the sender's DNS (DNSSEC is bogus): never taken for 'no record'",
        client="203.0.113.71", hello="mx.tampered.example", sender="info@tampered.example", to=at_ours("ben"),
        author="Info <info@tampered.example>", subject="Hello", text="Trust me.\r\n",
    ),
    Case(
        name="unknown", about="nobody of that name here: refused while the sender listens",
        client="192.0.2.40", hello="mail.friends.example", sender="mika@friends.example", to=at_ours("zoe"),
        author="Mika <mika@friends.example>", subject="Zoe?", text="Is this still your address?\r\n",
    ),
    Case(
        name="relay", about="a stranger tries to send through us to somebody else: refused",
        client="203.0.113.25", hello="mail.bulk.example", sender="offers@bulk.example", to=("victim@books.example",),
        author="Offers <offers@bulk.example>", subject="Relay", text="Through you.\r\n",
    ),
    *ATTACKS,
)  # fmt: skip
