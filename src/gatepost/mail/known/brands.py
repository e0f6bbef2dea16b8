"""Brands that phishing borrows, the names they go by and the domains that are theirs.

A line is ``Shown name = names : domains``. A name with ``*`` is also an everyday word or a person's name, so that it
counts only beside a word of the trade (``login``, ``support``). Left out: brands whose only name is such a word and short.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_TABLE = """
PayPal = paypal : paypal.com paypal.me paypal.de paypal.co.uk paypal.fr paypal-communication.com paypalobjects.com paypalcorp.com paypal-corp.com paypal-inc.com xoom.com
Microsoft = microsoft microsoft365 microsoftonline office365 onedrive sharepoint msoffice hotmail outlook* teams* azure* : microsoft.com microsoftonline.com office.com office365.com outlook.com hotmail.com live.com msn.com windows.com windowsazure.com azure.com azure.net azurewebsites.net sharepoint.com onedrive.com onmicrosoft.com skype.com microsoftstore.com xbox.com linkedin.com msft.com microsoftemail.com microsoft365.com cloud.microsoft windows.net outlook.de hotmail.co.uk teams.ms outlook.fr
Apple = apple* icloud appleid itunes : apple.com icloud.com me.com mac.com itunes.com apple.co.jp appleid.com apple-dns.net icloud-content.com
Amazon = amazon amazonprime aws* : amazon.com amazon.de amazon.co.uk amazon.co.jp amazon.fr amazon.it amazon.es amazon.ca amazon.in amazon.com.br amazon.com.au amazon.com.mx amazon.nl amazon.se amazon.pl amazon.ae amazon.sg amazon.jobs amazonaws.com amazonses.com aws.com aws.amazon.com awstrack.me amazonpay.com primevideo.com media-amazon.com ssl-images-amazon.com images-amazon.com amazon-adsystem.com amazonbusiness.com audible.com
Google = google gmail googledrive googledocs youtube : google.com gmail.com googlemail.com youtube.com youtu.be googleapis.com gstatic.com goo.gl google.de google.co.uk google.fr google.co.jp google.co.in google.ca google.com.au google.com.br google.it google.es google.nl google.pl withgoogle.com googleusercontent.com blogspot.com android.com chromium.org googlegroups.com google-analytics.com googlesource.com googleadservices.com googletagmanager.com googlesyndication.com youtube-nocookie.com
Facebook = facebook facebookmail : facebook.com fb.com facebookmail.com fbcdn.net meta.com messenger.com metamail.com fbsbx.com facebook.net
Instagram = instagram : instagram.com cdninstagram.com
WhatsApp = whatsapp : whatsapp.com whatsapp.net wa.me
Netflix = netflix : netflix.com nflxext.com netflix.net nflximg.net netflixstudios.com
LinkedIn = linkedin : linkedin.com licdn.com lnkd.in
Twitter = twitter : twitter.com x.com t.co twimg.com
TikTok = tiktok : tiktok.com tiktokv.com
Dropbox = dropbox : dropbox.com dropboxmail.com dropboxusercontent.com dropboxforum.com getdropbox.com
DocuSign = docusign : docusign.com docusign.net docusign.eu
Adobe = adobe acrobat* adobesign : adobe.com adobesign.com echosign.com adobe.io adobelogin.com typekit.com behance.net acrobat.com
Zoom = zoom* : zoom.us zoom.com zoomgov.com zoom.eu
Slack = slack* : slack.com slackhq.com slack-edge.com
WeTransfer = wetransfer : wetransfer.com we.tl
DHL = dhl : dhl.com dhl.de dhl.co.uk dhl.fr dhl.it dhl.es dhl.nl dhlparcel.nl dhlparcel.co.uk dhlecommerce.com dpdhl.com dhlglobalmail.com dhlexpress.com
FedEx = fedex : fedex.com fedex.co.jp fedexoffice.com
UPS = ups* : ups.com upsers.com
USPS = usps : usps.com usps.gov usps.mail.com
DPD = dpd : dpd.com dpd.de dpd.co.uk dpd.fr dpdgroup.com dpd.pl dpd.cz
Hermes = evri hermes* : evri.com myhermes.co.uk myhermes.de hermesworld.com hermes.com
Royal Mail = royalmail : royalmail.com royalmail.net royalmailgroup.com
La Poste = laposte colissimo chronopost : laposte.fr laposte.net colissimo.fr chronopost.fr labanquepostale.fr
Correos = correos : correos.es correos.com
Poste Italiane = posteitaliane : poste.it posteitaliane.it
Swiss Post = swisspost postfinance : post.ch swisspost.ch postfinance.ch
Deutsche Post = deutschepost : deutschepost.de post.de dpdhl.com
Canada Post = canadapost postescanada : canadapost.ca canadapost-postescanada.ca postescanada.ca
Australia Post = auspost : auspost.com.au
Japan Post = japanpost yubinkyoku : japanpost.jp post.japanpost.jp
Yamato = kuronekoyamato yamato* : kuronekoyamato.co.jp yamato-hd.co.jp
Sagawa = sagawa* : sagawa-exp.co.jp
eBay = ebay : ebay.com ebay.de ebay.co.uk ebay.fr ebay.it ebay.es ebay.com.au ebay.ca ebaystatic.com ebayimg.com ebay.at ebay.ch ebay-kleinanzeigen.de kleinanzeigen.de
Alibaba = alibaba aliexpress alipay taobao : alibaba.com aliexpress.com alipay.com taobao.com aliyun.com alibabacloud.com alibaba-inc.com
Walmart = walmart : walmart.com walmart.ca
Costco = costco : costco.com costco.ca costco.co.uk costco.com.mx
Target = target* : target.com
Lowe's = lowes* : lowes.com
Home Depot = homedepot : homedepot.com
Ikea = ikea : ikea.com ikea.de ikea.co.uk
Lidl = lidl : lidl.de lidl.com lidl.co.uk lidl.fr lidl.es
Rakuten = rakuten : rakuten.co.jp rakuten.com rakuten-card.co.jp rakuten.ne.jp rakuten-bank.co.jp rakuten-sec.co.jp
Mercari = mercari : mercari.com mercari.jp
Yahoo = yahoo : yahoo.com yahoo.co.jp yahoo.co.uk yahoo.de yahoo.fr yahooinc.com yimg.com yahoo-inc.com ymail.com yahoo.net yahoogroups.com yahoo.it yahoo.es yahoo.ca yahoo.co.in yahoo.com.br yahoo.com.au
AOL = aol : aol.com aol.de aol.co.uk
Coinbase = coinbase : coinbase.com
Binance = binance : binance.com binance.us
Kraken = kraken* : kraken.com
MetaMask = metamask : metamask.io
Ledger = ledger* : ledger.com
Trezor = trezor : trezor.io
Trust Wallet = trustwallet : trustwallet.com
Blockchain.com = blockchain* : blockchain.com blockchain.info
Crypto.com = cryptocom : crypto.com
OpenSea = opensea : opensea.io
Chase = chase* jpmorgan jpmorganchase : chase.com jpmorgan.com jpmorganchase.com jpmchase.com
Bank of America = bankofamerica bofa* : bankofamerica.com bofa.com bac.com ml.com
Wells Fargo = wellsfargo : wellsfargo.com wellsfargoadvisors.com wf.com
Citibank = citibank citigroup : citi.com citibank.com citigroup.com citicards.com citibankonline.com citibank.com.sg citibank.co.in
Capital One = capitalone : capitalone.com capitalone.co.uk
American Express = americanexpress amex : americanexpress.com amex.com aexp.com americanexpress.co.uk aexp-static.com americanexpress.co.jp
Visa = visa* : visa.com visa.co.jp
Mastercard = mastercard : mastercard.com mastercard.us
Discover = discover* : discover.com
US Bank = usbank : usbank.com
PNC = pncbank : pnc.com pncbank.com
TD Bank = tdbank : td.com tdbank.com
HSBC = hsbc : hsbc.com hsbc.co.uk hsbc.com.hk hsbc.fr hsbcnet.com hsbc.ca
Barclays = barclays barclaycard : barclays.com barclays.co.uk barclaycard.co.uk barclaycardus.com
Lloyds = lloydsbank lloydstsb : lloydsbank.com lloydsbank.co.uk lloydsbankinggroup.com lloydstsb.com
NatWest = natwest : natwest.com
Santander = santander : santander.com santander.co.uk bancosantander.es gruposantander.com santanderbank.com santander.de santander.com.br santander.pl
BBVA = bbva : bbva.com bbva.es bbva.mx
CaixaBank = caixabank : caixabank.es caixabank.com lacaixa.es
ING = ingdiba : ing.com ing.de ing.nl ing-diba.de ing.es
Rabobank = rabobank : rabobank.nl rabobank.com
ABN AMRO = abnamro : abnamro.nl abnamro.com
Deutsche Bank = deutschebank deutsche-bank : deutsche-bank.de db.com deutschebank.com deutsche-bank.com
Commerzbank = commerzbank comdirect : commerzbank.de commerzbank.com comdirect.de
Sparkasse = sparkasse : sparkasse.de sparkasse.at s.de
Volksbank = volksbank : volksbank.de vr.de
DKB = dkb* : dkb.de
N26 = n26 : n26.com
Postbank = postbank : postbank.de
Raiffeisen = raiffeisen : raiffeisen.ch raiffeisen.at raiffeisen.com rbinternational.com
UBS = ubs : ubs.com
Credit Suisse = creditsuisse credit-suisse : credit-suisse.com
BNP Paribas = bnpparibas : bnpparibas.com bnpparibas.net mabanque.bnpparibas bnpparibas.fr
Crédit Agricole = creditagricole credit-agricole : credit-agricole.fr credit-agricole.com ca-mail.fr
Société Générale = societegenerale : societegenerale.fr societegenerale.com sg.fr
Intesa Sanpaolo = intesasanpaolo : intesasanpaolo.com
UniCredit = unicredit : unicredit.it unicredit.eu unicreditgroup.eu
Nordea = nordea : nordea.com nordea.fi nordea.se nordea.dk nordea.no
Itaú = itau : itau.com.br itau.com
Bradesco = bradesco : bradesco.com.br bradesco.com
Nubank = nubank : nubank.com.br
Banco do Brasil = bancodobrasil : bb.com.br bancodobrasil.com.br
Mercado Libre = mercadolibre mercadolivre mercadopago : mercadolibre.com mercadolivre.com.br mercadopago.com mercadopago.com.br mercadolibre.com.mx mercadolibre.com.ar
Westpac = westpac : westpac.com.au
ANZ = anz* : anz.com anz.com.au
CommBank = commbank netbank* : commbank.com.au cba.com.au
NAB = nab* : nab.com.au
SMBC = smbc : smbc.co.jp smbc-card.com smbcgroup.com vpass.ne.jp
MUFG = mufg : mufg.jp mufg.com
Mizuho = mizuhobank mizuho* : mizuhobank.co.jp mizuhogroup.com mizuho-fg.co.jp
JCB = jcb* : jcb.co.jp jcb.com
Aeon = aeoncard aeon* : aeon.co.jp aeon.info aeonbank.co.jp
Saison = saisoncard : saisoncard.co.jp
EPOS Card = eposcard : eposcard.co.jp
ETC = etc-meisai etcmeisai : etc-meisai.jp
Stripe = stripe* : stripe.com
Square = squareup : squareup.com square.com block.xyz
Wise = transferwise wise* : wise.com transferwise.com
Revolut = revolut : revolut.com
Western Union = westernunion : westernunion.com wu.com
MoneyGram = moneygram : moneygram.com
Klarna = klarna : klarna.com klarna.de klarna.se
Venmo = venmo : venmo.com
Cash App = cashapp : cash.app cash.me
Zelle = zelle* : zellepay.com
Intuit = intuit quickbooks turbotax : intuit.com quickbooks.com turbotax.com mint.com mailchimp.com
SAP = sapconcur : sap.com concur.com concursolutions.com
ADP = adpworkforce : adp.com
Workday = workday* : workday.com myworkday.com myworkdayjobs.com
Norton = norton* nortonlifelock lifelock : norton.com nortonlifelock.com lifelock.com gendigital.com symantec.com
McAfee = mcafee : mcafee.com
Geek Squad = geeksquad bestbuy : geeksquad.com bestbuy.com bestbuy.ca
AT&T = atandt : att.com att.net att-mail.com attmail.com sbcglobal.net
Verizon = verizon : verizon.com verizon.net verizonwireless.com vzw.com
T-Mobile = tmobile t-mobile : t-mobile.com t-mobile.de t-mobile.nl telekom.de telekom.com
Telekom = telekom : telekom.de telekom.com t-online.de telekom.hu magentacloud.de
Vodafone = vodafone : vodafone.com vodafone.de vodafone.co.uk vodafone.it vodafone.es
Comcast Xfinity = xfinity comcast : xfinity.com comcast.com comcast.net
Orange = orange* : orange.fr orange.com orange.es orange.pl
Swisscom = swisscom : swisscom.ch swisscom.com bluewin.ch
Spotify = spotify : spotify.com scdn.co
Disney+ = disneyplus : disneyplus.com disney.com
Steam = steampowered steamcommunity : steampowered.com steamcommunity.com valvesoftware.com
Roblox = roblox : roblox.com
Epic Games = epicgames fortnite : epicgames.com fortnite.com unrealengine.com
Booking.com = bookingcom booking* : booking.com booking.cn
Airbnb = airbnb : airbnb.com airbnb.de airbnb.co.uk airbnb.fr
Expedia = expedia : expedia.com expediagroup.com hotels.com
GoDaddy = godaddy : godaddy.com secureserver.net
Cloudflare = cloudflare : cloudflare.com cloudflare.net cloudflareinsights.com
Namecheap = namecheap : namecheap.com
Ionos = ionos 1und1 1and1 : ionos.com ionos.de 1und1.de 1and1.com ionos.co.uk ionos.fr 1und1.net
OVH = ovhcloud : ovh.com ovhcloud.com ovh.net
cPanel = cpanel : cpanel.net cpanel.com
WordPress = wordpress : wordpress.com wordpress.org wp.com wordpress.net
GitHub = github : github.com githubusercontent.com github.io githubapp.com
Okta = okta : okta.com oktacdn.com
Salesforce = salesforce : salesforce.com force.com exacttarget.com salesforceliveagent.com
HubSpot = hubspot : hubspot.com hubspotemail.net hubspotlinks.com hs-sites.com
Mailchimp = mailchimp : mailchimp.com mailchi.mp list-manage.com mailchimpapp.com mailchimpapp.net
Zimbra = zimbra : zimbra.com
Roundcube = roundcube : roundcube.net
Canva = canva : canva.com
Samsung = samsung : samsung.com samsungcloud.com
Huawei = huawei : huawei.com
Nintendo = nintendo : nintendo.com nintendo.co.jp nintendo.net
Sony = sony playstation : sony.com playstation.com sony.co.jp sonyentertainmentnetwork.com playstationemail.com sony.net
Telegram = telegram* : telegram.org t.me telegram.me
IRS = irsgov : irs.gov
HMRC = hmrc : gov.uk hmrc.gov.uk
ELSTER = elsteronline elster* : elster.de elsteronline.de
Ameli = assurance-maladie ameli* : ameli.fr assurance-maladie.fr
DGT = agenciatributaria : agenciatributaria.es agenciatributaria.gob.es
Medicare = medicare* : medicare.gov
myGov = mygov : my.gov.au mygov.au
State Farm = statefarm : statefarm.com
Allianz = allianz : allianz.com allianz.de allianz.fr
AXA = axabanque : axa.com axa.fr axa.de
Ticketmaster = ticketmaster : ticketmaster.com ticketmaster.co.uk ticketmaster.de
Starlink = starlink : starlink.com
Tesla = tesla* : tesla.com
Marriott = marriott : marriott.com
Lufthansa = lufthansa milesandmore : lufthansa.com miles-and-more.com
Deutsche Bahn = deutschebahn : bahn.de deutschebahn.com bahn.com
SNCF = sncf : sncf.com sncf-connect.com oui.sncf
Leboncoin = leboncoin : leboncoin.fr
Vinted = vinted : vinted.com vinted.fr vinted.de vinted.pl
Allegro = allegro* : allegro.pl
InPost = inpost : inpost.pl inpost.com inpost.co.uk
"""


@dataclass(frozen=True, slots=True)
class Brand:
    """One brand."""

    name: str
    """As its customers write it."""
    words: tuple[str, ...]
    """Names as they would stand in a domain, unmistakable ones."""
    everyday: tuple[str, ...]
    """Names that are also something else."""
    domains: tuple[str, ...]
    """Its own; registered domains, and hosts."""


def _read(table: str) -> Iterator[Brand]:
    for line in table.strip().splitlines():
        name, _, rest = line.partition(" = ")
        words, _, domains = rest.partition(" : ")
        names = words.split()
        yield Brand(
            name,
            tuple(word for word in names if not word.endswith("*")),
            tuple(word[:-1] for word in names if word.endswith("*")),
            tuple(domains.split()),
        )


BRANDS: tuple[Brand, ...] = tuple(_read(_TABLE))
