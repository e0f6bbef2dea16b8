"""Words that stand beside a borrowed name, and everyday words that only look like one."""

from __future__ import annotations

from gatepost.mail.known.table import names

LURES = names(
    """
    login logon signin signon sign auth authenticate authentication verify verification verified validate validation
    confirm confirmation secure secured security safe safety account accounts acct id mail email webmail mailbox
    support help helpdesk service services servicedesk customer customers client clients care center centre desk
    online web portal my mypage member members user users update updates updated upgrade renew renewal billing bill
    invoice invoices payment payments pay paid refund refunds wallet cash money bank banking card cards credit
    alert alerts notice notify notification notifications message messages info inform team official admin
    recovery recover reset restore unlock unblock unlocked suspended locked limited restricted blocked
    delivery deliver parcel package shipping shipment tracking track trackings customs express post
    tax gov office document documents docs doc file files share shared sharing drive cloud storage meeting
    reward rewards gift giftcard bonus prize promo offer offers event claim airdrop token connect app apps
    store shop order orders purchase subscription prime plus premium pro
    access activate activation identity kyc check compliance resolution dispute case ticket session password pass
    anmeldung anmelden konto kunde kunden kundenservice sicherheit rechnung zahlung bestaetigung
    connexion compte client espace facture paiement securite livraison colis
    acceso cuenta cliente clientes seguridad factura pago envio paquete
    accesso conto clienti sicurezza fattura pagamento spedizione pacco
    conta acesso seguranca fatura entrega
    jp japan co usa uk de fr us eu global hq corp inc group
    """
)

REAL_WORDS = names(
    """
    finance citybank data info news mail group home shop store online digital global media design studio software
    systems solutions consulting services service support company example test school university hospital church
    house family market travel hotel health energy water paper press books music movie photo video games sports
    garden kitchen energies electric motors auto cars bikes bank credit capital trust partner partners network
    security cloud hosting server internet telecom mobile phone radio channel stream social people forum
    blog wiki docs code labs tech science research engineering industry factory logistics transport express
    amazing amazonia amazonas canvas stripes tables visas targets zooms wiser slacker oranges chaser teslas
    adobes okta target apple orange discover square steam chase visa wise zoom norton
    facepack fedora update goggle goggles yahoos twitters pinterest interest nets linked
    """
)
