"""Mail that nobody asked for: templates in English and Japanese of what spammers and phishers write. Nothing leads anywhere."""

from __future__ import annotations

from gatepost.demo.letters import Template

UNWANTED: tuple[Template, ...] = (
    Template(
        authors=("Offers <offers@{word}-offers.example>", "Best Deals <win{count}@promo-{word}.example>", "Pharmacy <pills@{word}-meds.example>"),
        subjects=("A secret trick", "{count}% OFF today only!!!", "Cheap meds, no prescription", "Lose {count} pounds in a week", "You will not believe this {name}"),
        paragraphs=(
            ("Dear friend,", "ATTENTION!", "Hey {name},", "Exclusive offer for you"),
            ("our miracle pills melt {count} pounds of fat while you sleep. Doctors hate this one weird trick.",
             "buy now and save {count}% on all medication. No prescription, no questions, shipped in plain packaging.",
             "men all over the world gain new strength with our natural formula. 100% guaranteed or your money back.",
             "luxury replica watches for only ${amount}! Nobody will know the difference."),
            ("Click here now: {link}", "ORDER TODAY >>> {link}", "This offer ends at midnight! {link}", "Limited stock!!! Act fast: {link}"),
            ("To unsubscribe click {link}", "You receive this because you are a lucky winner.", "Hurry!!!"),
        ),
        html=True,
        links=("https://{word}-deals.example/buy?id={number}", "http://203.0.113.{count}/pills", "https://promo-{word}.example/x{number}"),
    ),
    Template(
        authors=("Your Bank <security@bank-{word}.example>", "Account Team <noreply@account-{word}.example>", "Support <verify@{word}-login.example>"),
        subjects=("Your account will be closed today", "Unusual sign-in, {name}", "Action required: verify your account", "Security alert {number}", "Your mailbox is full"),
        paragraphs=(
            ("Dear customer,", "Dear account holder,", "Dear user {name},"),
            ("we noticed unusual activity in your account and have limited your access. Confirm your details within {count} hours.",
             "your password expires today. Keep the same password by confirming it below, or your mailbox will be deleted.",
             "a payment of ${amount} was made from your account. If this was not you, cancel it immediately.",
             "your incoming messages are held, because your storage is full. Verify your identity to release {count} pending messages."),
            ("Verify now: {link}", "Confirm your account here {link}", "Sign in to restore access: {link}"),
            ("Failure to verify will lead to permanent suspension.", "Security department", "Thank you for your cooperation\r\nThe account team"),
        ),
        html=True,
        links=("http://bank-{word}.example/login", "https://{word}-verify.example/account/{number}", "http://203.0.113.{count}/signin"),
    ),
    Template(
        authors=("Barrister John <barrister{count}@lawyer-{word}.example>", "Mrs. Grace <grace@{word}-charity.example>", "Dr. Smith <dr.smith@finance-{word}.example>"),
        subjects=("URGENT BUSINESS PROPOSAL", "Your inheritance of ${amount} million", "Compensation payment", "Beloved in Christ", "Re: unclaimed funds"),
        paragraphs=(
            ("Dear beneficiary,", "Dearest one,", "Attention: fund owner,"),
            ("I am a barrister to a late client who left the sum of {amount} million US dollars and no next of kin. I want to present you to the bank as the heir.",
             "you have won {amount} million in our international lottery. Your e-mail address was drawn among millions.",
             "I am a dying widow and have decided to donate my wealth of {amount} million dollars to you for charity work.",
             "the United Nations has approved your compensation payment of {amount} million dollars for scam victims."),
            ("This transaction is 100% risk free. You will keep {count}% for yourself.",
             "Send your full name, address, telephone number and a copy of your passport, so that the transfer can begin.",
             "Only a small processing fee is needed. Keep this strictly confidential."),
            ("Reply urgently to my private e-mail.", "God bless you", "Yours in trust\r\nBarrister"),
        ),
    ),
    Template(
        authors=("Parcel <service@parcel-{word}.example>", "Customs <info@customs-{word}.example>", "Delivery <track@{word}-post.example>"),
        subjects=("Parcel held at customs", "Your package could not be delivered", "Final notice: delivery {number}", "Redelivery fee"),
        paragraphs=(
            ("Dear customer,", "Hello,", "Dear {name},"),
            ("your parcel {number} is held because of unpaid customs duties. Pay 1.{count} to release it.",
             "we could not deliver your package today because the address is incomplete. Update it within 24 hours.",
             "your delivery is suspended. A small redelivery fee of 2.{count} is due."),
            ("Pay now: {link}", "Update your address: {link}", "Schedule your redelivery here {link}"),
            ("Parcels that are not claimed are returned to the sender.", "Delivery team"),
        ),
        links=("https://{word}-parcel.example/pay/{number}", "http://track-{word}.example/{number}"),
    ),
    Template(
        authors=("Invest <info@crypto-{word}.example>", "Trading Bot <profit@{word}-coin.example>", "Casino <vip@{word}-casino.example>"),
        subjects=("Make ${amount} a day from home", "Bitcoin doubles again", "Your free spins are waiting", "Financial freedom, {name}", "I made ${amount} last week"),
        paragraphs=(
            ("Hello future millionaire,", "Hi {name}!", "Dear investor,"),
            ("our trading robot earns ${amount} a day without any work. {number} people have already joined.",
             "double your bitcoin in {count} days. Guaranteed profit, no risk, withdraw at any time.",
             "claim your {count} free spins and a welcome bonus of {count}00%. No deposit needed.",
             "banks hate this secret system. I quit my job after {count} days."),
            ("Join now: {link}", "Claim your bonus >>> {link}", "Register today, places are limited: {link}"),
            ("Don't miss this opportunity!!!", "Past profits guarantee future profits.", "Act now!"),
        ),
        html=True,
        links=("https://{word}-coin.example/join", "http://casino-{word}.example/bonus?u={number}"),
    ),
    Template(
        authors=("Your hacker <anon{number}@{word}.example>", "Unknown <watcher@{word}-anon.example>"),
        subjects=("I recorded you", "Your device was hacked", "Pay or everybody sees it", "{name}: last warning"),
        paragraphs=(
            ("Hello pervert,", "I know your password, {name}.", "Greetings!"),
            ("I have installed malware on your device and recorded you through your camera. I have all your contacts.",
             "your system was infected with my trojan when you visited an adult site. I copied all your files."),
            ("Send ${amount} in bitcoin to the wallet below within {count} hours, or I send the video to everybody you know.",
             "Transfer {amount} dollars in bitcoin. After the payment I delete everything. You have {count} hours."),
            ("Wallet: 1{word}{number}X{number2}", "Do not answer this mail. Do not call the police."),
        ),
    ),
    Template(
        authors=("SEO <rank@seo-{word}.example>", "Web Design <team@web-{word}.example>", "Leads <sales@{word}-leads.example>"),
        subjects=("First page on Google guaranteed", "Increase your traffic", "{number} verified email addresses", "Redesign of your website"),
        paragraphs=(
            ("Dear business owner,", "Hello sir,", "Hi,"),
            ("we put your website on the first page of all search engines within {count} days. Guaranteed ranking, affordable packages.",
             "buy our list of {number} verified business email addresses for only ${amount}.",
             "I visited your website and found many errors. Our team of experts offers a full redesign at a cheap price."),
            ("Send me your phone number for a free quote.", "Reply YES for our price list.", "See our packages: {link}"),
            ("Marketing manager", "This is an advertisement. Reply REMOVE to opt out."),
        ),
        links=("https://seo-{word}.example/packages",),
    ),
    Template(
        authors=("カード会社 <info@card-{word}.example>", "アカウント <support@{word}-jp.example>", "銀行 <anzen@ginko-{word}.example>"),
        subjects=("【重要】お客様のアカウントについて", "【緊急】カードのご利用確認", "アカウントが停止されました", "本人確認のお願い"),
        paragraphs=(
            ("お客様", "会員の皆様", "いつもご利用いただきありがとうございます。"),
            ("お客様のアカウントに異常なログインが検出されたため、ご利用を制限しております。",
             "カードの不正利用の疑いがあります。{count}時間以内に確認しないとカードは永久に停止されます。",
             "お支払い方法の有効期限が切れています。情報を更新しない場合、アカウントは削除されます。"),
            ("以下のリンクから今すぐ本人確認を行ってください。{link}", "ログインして情報を更新する：{link}", "▼ご確認はこちら▼ {link}"),
            ("ご理解とご協力をお願いいたします。", "このメールは自動送信です。返信できません。"),
        ),
        html=True,
        links=("http://card-{word}.example/login", "https://{word}-kakunin.example/{number}"),
    ),
    Template(
        authors=("副業 <kasegu@{word}-fukugyo.example>", "当選 <atari@{word}-tosen.example>", "出会い <deai@{word}-love.example>"),
        subjects=("誰でも月収{count}0万円", "おめでとうございます！当選しました", "会いたいです", "無料で始める副業", "【限定】今だけ{count}%オフ"),
        paragraphs=(
            ("突然のメール失礼します。", "あなただけの特別なご案内です！", "おめでとうございます！"),
            ("スマホだけで一日{count}万円稼げる方法を無料で公開します。経験は必要ありません。",
             "厳正な抽選の結果、{amount_ja}円が当選しました。受け取り手続きをお急ぎください。",
             "一人で寂しい夜を過ごしています。今すぐ会える人を探しています。登録は無料です。",
             "話題のサプリが今だけ{count}%オフ。飲むだけで{count}キロ痩せます。"),
            ("今すぐ登録：{link}", "クリックして受け取る→ {link}", "先着{count}名様限定！ {link}"),
            ("※配信停止はこちら {link}", "このチャンスをお見逃しなく！！"),
        ),
        links=("http://{word}-kasegu.example/?{number}", "https://tosen-{word}.example/{number}"),
    ),
)  # fmt: skip
"""Kinds of unwanted mail."""
