"""Links that lead elsewhere: shorteners, redirectors with the target in a parameter, click trackers, and hosts where
anybody puts up a page. By registered domain or host; whatever is below one counts as it.
"""

from __future__ import annotations

from gatepost.mail.known.table import names

SHORTENERS = names(
    """
    bit.ly bitly.com j.mp tinyurl.com t.co goo.gl ow.ly is.gd v.gd buff.ly rebrand.ly rb.gy cutt.ly shorturl.at
    shorturl.asia tiny.cc t.ly bl.ink lnkd.in s.id qrco.de qr.io qrs.ly me-qr.com q-r.to u.to clck.ru vk.cc
    soo.gd s2r.co adf.ly bc.vc ouo.io shrtco.de 1url.com snip.ly snipurl.com short.io short.gy short.cm clicky.me
    dub.sh dub.co lc.chat rotf.lol urlz.fr n9.cl x.gd kutt.it l.ead.me surl.li gg.gg hyperurl.co tny.im
    urlr.me tr.im su.pr budurl.com zpr.io shor.by linktr.ee beacons.ai bio.link lnk.bio lnk.to smarturl.it
    aka.ms fb.me amzn.to youtu.be wp.me db.tt 1drv.ms trib.al dlvr.it ift.tt po.st spr.ly oe.cd t2m.io
    encurtador.com.br acortar.link vvd.bz kurzelinks.de shortest.link shrunken.com 2.gp tl.gd wa.link goo.su
    """
)
"""Where the path alone says nothing of the target."""
OF_ONE_HOUSE = names("aka.ms fb.me amzn.to youtu.be wp.me db.tt 1drv.ms lnkd.in t.co")
"""Shorteners that lead to their own house, or are put around every link of one: no reproach."""

REDIRECTORS = names(
    """
    google.com google.de google.co.uk google.fr google.it google.es google.nl google.ca google.com.au google.com.br
    google.co.in google.co.jp google.ru google.pl doubleclick.net googleadservices.com googleweblight.com
    googlesyndication.com bing.com msn.com yahoo.com yandex.ru yandex.com baidu.com youtube.com facebook.com
    instagram.com linkedin.com vk.com ok.ru mail.ru steamcommunity.com duckduckgo.com slideshare.net medium.com
    adobe.com adnxs.com awstrack.me archive.org naver.com daum.net tumblr.com pinterest.com reddit.com t.me
    microsofttranslator.com translate.goog ampproject.org cse.google.com sourceforge.net
    """
)
"""Houses that pass anybody on to wherever a parameter says."""

TRACKERS = names(
    """
    list-manage.com list-manage1.com list-manage2.com mailchi.mp mailchimp.com mandrillapp.com sendgrid.net ct.sendgrid.net
    sparkpostmail.com spgo.io mailgun.org mailgun.info mjt.lu mailjet.com sendinblue.com sibforms.com brevo.com r.mailin.fr
    constantcontact.com rs6.net ccsend.com exacttarget.com exct.net s7.exacttarget.com pardot.com salesforce.com
    hubspotemail.net hubspotlinks.com hubspot.com hs-sites.com hubspotlinksstarter.com hubspotlinksfree.com marketo.com
    mktoweb.com mktdns.com eloqua.com elqtrk.com en25.com responsys.net rsys2.com rsys5.com cheetahmail.com
    bluehornet.com silverpop.com mkt1.com mkt51.net mkt2514.com pages04.net campaign-archive.com cmail19.com cmail20.com
    createsend.com createsend1.com createsend2.com createsend3.com cmail1.com cmail2.com klaviyomail.com klclick.com
    klclick1.com klclick2.com klclick3.com customeriomail.com customer.io e.customeriomail.com iterable.com links.iterable.com
    braze.com sailthru.com emarsys.net emarsys.com dotmailer.com dmtrk.com dotdigital-pages.com activehosted.com
    acemlna.com acemlnb.com acemlnc.com convertkit-mail.com convertkit-mail2.com kit-mail3.com convertkit-mail4.com
    aweber.com getresponse.com gr-cdn.com icontact.com verticalresponse.com vresp.com madmimi.com benchmarkemail.com
    mailerlite.com mlsend.com mlsend2.com ml.mailersend.com substack.com beehiiv.com ghost.io buttondown.email
    awstrack.me amazonses.com postmarkapp.com pstmrk.it intercom-mail.com intercom-clicks.com zendesk.com
    urldefense.com urldefense.proofpoint.com protection.outlook.com safelinks.protection.outlook.com mimecastprotect.com
    linkprotect.cudasvc.com cudasvc.com sophos.com protection.sophos.com trustifi.com barracuda.com mailanyone.net
    avanan.click checkpoint.com fireeye.com cisco.com secure-web.cisco.com doubleclick.net evernote.com
    sptr.co sp1.convertro.com lnks.gd govdelivery.com public.govdelivery.com linksynergy.com
    dpdns.org bmetrack.com clickdimensions.com vuture.net cvent.com eventbrite.com meetup.com bounceexchange.com
    """
)
"""Senders of newsletters for others, and wrappers of links by mail filters: what they show and where they go differ by trade."""

ANYBODYS_PAGES = names(
    """
    docs.google.com forms.gle sites.google.com drive.google.com storage.googleapis.com firebasestorage.googleapis.com
    script.google.com translate.goog forms.office.com sway.office.com sway.cloud.microsoft 1drv.ms onedrive.live.com
    notion.site notion.so canva.com wixsite.com weebly.com weeblysite.com webflow.io square.site squarespace.com
    jimdosite.com jimdofree.com strikingly.com mystrikingly.com godaddysites.com wordpress.com blogspot.com tumblr.com
    glitch.me repl.co replit.app netlify.app vercel.app web.app firebaseapp.com pages.dev workers.dev r2.dev github.io
    gitbook.io surge.sh render.com onrender.com herokuapp.com fly.dev ngrok.io ngrok-free.app azurewebsites.net
    web.core.windows.net blob.core.windows.net azurefd.net azureedge.net cloudfront.net amazonaws.com s3.amazonaws.com
    linodeobjects.com digitaloceanspaces.com backblazeb2.com wasabisys.com ipfs.io dweb.link cloudflare-ipfs.com
    fleek.co fleek.cool ipfs.dweb.link nftstorage.link typeform.com jotform.com formstack.com zohopublic.com
    surveymonkey.com smartsheet.com cognitoforms.com formspree.io getform.io carrd.co 000webhostapp.com 000webhost.com
    hostingerapp.com byethost.com infinityfreeapp.com duckdns.org ddns.net no-ip.org hopto.org zapto.org sytes.net
    servehttp.com serveo.net mybluehost.me plesk.page cprapid.com sharepoint.com dropbox.com dropboxusercontent.com
    wetransfer.com we.tl box.com mediafire.com mega.nz pcloud.com genially.com view.genially.com padlet.com
    framer.app framer.website softr.app adobe.io express.adobe.com clickfunnels.com systeme.io ghost.io
    myshopify.com blob.vercel-storage.com teachable.com gamma.app gamma.site bubbleapps.io lovable.app
    """
)
"""Hosts and domains below which anybody puts up a page or a form."""
