"""Mail providers where anybody gets an address within a minute, and names so large that no list blocks them."""

from __future__ import annotations

from gatepost.mail.known.table import names

FREE_MAIL = names(
    """
    gmail.com googlemail.com outlook.com outlook.de outlook.fr outlook.jp outlook.es outlook.it hotmail.com
    hotmail.co.uk hotmail.fr hotmail.de hotmail.it hotmail.es hotmail.co.jp live.com live.co.uk live.fr live.de live.jp
    live.nl msn.com passport.com yahoo.com yahoo.co.uk yahoo.co.in yahoo.co.jp yahoo.fr yahoo.de yahoo.it yahoo.es
    yahoo.com.br yahoo.com.ar yahoo.com.mx yahoo.com.au yahoo.ca yahoo.co.id yahoo.com.ph ymail.com rocketmail.com
    aol.com aim.com aol.de icloud.com me.com mac.com proton.me protonmail.com protonmail.ch pm.me tutanota.com
    tutanota.de tuta.io tuta.com gmx.com gmx.net gmx.de gmx.at gmx.ch gmx.us web.de freenet.de t-online.de mail.de
    email.de posteo.de mailbox.org mail.com email.com usa.com consultant.com engineer.com post.com accountant.com
    workmail.com mail.ru bk.ru inbox.ru list.ru internet.ru yandex.ru yandex.com ya.ru rambler.ru ukr.net i.ua
    qq.com foxmail.com 163.com 126.com yeah.net sina.com sina.cn sohu.com 139.com 189.cn aliyun.com tom.com
    naver.com daum.net hanmail.net nate.com docomo.ne.jp ezweb.ne.jp au.com softbank.ne.jp i.softbank.jp nifty.com
    orange.fr wanadoo.fr free.fr sfr.fr laposte.net libero.it virgilio.it tiscali.it alice.it tin.it
    wp.pl o2.pl onet.pl interia.pl op.pl seznam.cz centrum.cz email.cz azet.sk abv.bg mail.bg freemail.hu citromail.hu
    terra.com.br uol.com.br bol.com.br ig.com.br rediffmail.com indiatimes.com zoho.com zohomail.com fastmail.com
    fastmail.fm hushmail.com mailfence.com startmail.com runbox.com inbox.lv inbox.com lycos.com excite.com
    juno.com netzero.net earthlink.net comcast.net verizon.net att.net sbcglobal.net bellsouth.net cox.net charter.net
    optonline.net btinternet.com sky.com talktalk.net virginmedia.com ntlworld.com bigpond.com optusnet.com.au
    shaw.ca rogers.com sympatico.ca xtra.co.nz skynet.be telenet.be ziggo.nl kpnmail.nl planet.nl home.nl bluewin.ch
    onmail.com duck.com mail.ee skiff.com disroot.org riseup.net cock.li
    """
)
"""By domain."""

TOO_LARGE_TO_LIST = names(
    """
    google.com gstatic.com googleapis.com youtube.com youtu.be goo.gl gmail.com microsoft.com office.com outlook.com
    live.com windows.com msn.com bing.com apple.com icloud.com amazon.com amazonaws.com amazon.co.uk amazon.de
    amazon.co.jp facebook.com fb.com instagram.com whatsapp.com meta.com linkedin.com licdn.com twitter.com x.com t.co
    yahoo.com yahoo.co.jp wikipedia.org wikimedia.org w3.org schema.org adobe.com mozilla.org github.com gitlab.com
    ebay.com ebay.de ebay.co.uk paypal.com paypalobjects.com netflix.com dropbox.com zoom.us slack.com salesforce.com
    oracle.com ibm.com cisco.com intel.com hp.com dell.com nytimes.com bbc.co.uk bbc.com cnn.com theguardian.com
    booking.com airbnb.com uber.com spotify.com pinterest.com reddit.com tiktok.com akamai.net cloudflare.com
    rakuten.co.jp docomo.ne.jp line.me qq.com baidu.com taobao.com alibaba.com aliyun.com weibo.com gravatar.com
    mailchimp.com list-manage.com sendgrid.net mandrillapp.com constantcontact.com fedex.com ups.com dhl.com usps.com
    sourceforge.net apache.org debian.org ubuntu.com redhat.com python.org gnu.org ietf.org
    """
)
"""Registered domains that stand in half the world's honest mail: asking lists about them tells nothing."""
