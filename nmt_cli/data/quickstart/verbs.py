"""The verbs, one to a line: how they inflect and what they take.

Columns: English verb and past tense; German infinitive (a bar marks a separable prefix), third
person singular and participle (``ist_`` marks the auxiliary sein); the class of the subject; the
complements; the adjuncts that suit it, an exclamation mark after those that seldom miss.  A hyphen
means "regular" or "none", an underscore joins the words of a phrasal verb.

Complements are joined by ``+``: ``acc:goods`` is an accusative object of the class goods,
``for=auf.acc:person`` a prepositional one (English *for*, German *auf* with the accusative),
``to=dat:person`` one that only English marks with a preposition; ``to:place``, ``at:home`` and
``on.dat:furniture`` are destinations, places and positions.
"""

VERBS = """
work       -        arbeiten     -          -               person  -               place!
sleep      slept    schlafen     schläft    geschlafen      person  -               place!
dance      -        tanzen       -          -               person  -               place!,with
sing       sang     singen       -          gesungen        person  -               place!,with
laugh      -        lachen       -          -               person  -               place!
cry        -        weinen       -          -               person  -               place!
shop       shopped  ein|kaufen   -          -               person  -               shops!,with
play       -        spielen      -          -               person  -               place!,with
arrive     -        an|kommen    -          ist_angekommen  person  -               town!
get_up     got      auf|stehen   -          ist_aufgestanden person -               -
wake_up    woke     auf|wachen   -          ist_aufgewacht  living  -               -
fall_asleep fell    ein|schlafen schläft    ist_eingeschlafen living -              -
live       -        wohnen       -          -               person  at:home         -
stay       -        bleiben      -          ist_geblieben   person  at:home         with

visit      -        besuchen     -          -               person  acc:person      -
call       -        an|rufen     -          angerufen       person  acc:person      -
invite     -        ein|laden    lädt       eingeladen      person  acc:person      -
fetch      -        ab|holen     -          -               person  acc:person      place
meet       met      treffen      trifft     getroffen       person  acc:person      place
see        saw      sehen        sieht      gesehen         living  acc:living      outdoors
hear       heard    hören        -          -               living  acc:living      outdoors
love       -        lieben       -          -               person  acc:person      -
greet      -        begrüßen     -          -               person  acc:person      place
miss       -        vermissen    -          -               person  acc:person      -
recognize  -        erkennen     -          erkannt         person  acc:person      -
interrupt  -        unterbrechen unterbricht unterbrochen   person  acc:person      -
understand understood verstehen  -          verstanden      person  acc:person      -
look_for   -        suchen       -          -               person  acc:living      outdoors
look_at    -        an|sehen     sieht      angesehen       person  acc:living      -
help       -        helfen       hilft      geholfen        person  dat:person      place
thank      -        danken       -          -               person  dat:person      -
congratulate -      gratulieren  -          -               person  dat:person      -
trust      -        vertrauen    -          -               person  dat:person      -
answer     -        antworten    -          -               person  dat:person      -
listen_to  -        zu|hören     -          -               person  dat:person      -
agree_with -        zu|stimmen   -          -               person  dat:person      -
follow     -        folgen       -          ist_gefolgt     living  dat:living      -

buy        bought   kaufen       -          -               person  acc:goods       for,place
sell       sold     verkaufen    -          -               person  acc:goods       place
need       -        brauchen     -          -               person  acc:goods       for
find       found    finden       -          gefunden        person  acc:present     place
lose       lost     verlieren    -          verloren        person  acc:present     place
choose     chose    aus|wählen   -          -               person  acc:goods       for
bring_along brought mit|bringen  -          mitgebracht     person  acc:present     for
throw_away threw    weg|werfen   wirft      weggeworfen     person  acc:goods       -
forget     forgot   vergessen    vergisst   vergessen       person  acc:present     place
steal      stole    stehlen      stiehlt    gestohlen       person  acc:valuable    place
pay_for    paid     bezahlen     -          -               person  acc:goods       -
repair     -        reparieren   -          -               person  acc:vehicle     for,place
park       -        parken       -          -               person  acc:driven      place
rent       -        mieten       -          -               person  acc:rented      for,with
open       -        auf|machen   -          -               person  acc:openable    -
close      -        zu|machen    -          -               person  acc:openable    -
lock       -        ab|schließen -          abgeschlossen   person  acc:lockable    -
turn_on    -        ein|schalten -          -               person  acc:device      -
turn_off   -        aus|schalten -          -               person  acc:device      -
wear       wore     tragen       trägt      getragen        person  acc:clothing    -
try_on     -        an|probieren -          -               person  acc:clothing    place
take_off   took     aus|ziehen   -          ausgezogen      person  acc:clothing    -
wash       -        waschen      wäscht     gewaschen       person  acc:washable    for
eat        ate      essen        isst       gegessen        person  acc:edible      place
cook       -        kochen       -          -               person  acc:meal        for,with
order      -        bestellen    -          -               person  acc:menu        for,place
prepare    -        zu|bereiten  -          -               person  acc:meal        for
taste      -        probieren    -          -               person  acc:menu        -
drink      drank    trinken      -          getrunken       person  acc:drink       place,with
write      wrote    schreiben    -          geschrieben     person  acc:writing     for
translate  -        übersetzen   -          übersetzt       person  acc:text        for
borrow     -        aus|leihen   -          ausgeliehen     person  acc:loan        for
finish     -        beenden      -          -               person  acc:writing     -
solve      -        lösen        -          -               person  acc:problem,task with
discuss    -        besprechen   bespricht  besprochen      person  acc:idea        with
plan       planned  planen       -          -               person  acc:event       with
feed       fed      füttern      -          -               person  acc:animal      outdoors
stroke     -        streicheln   -          -               person  acc:animal      -
catch      caught   fangen       fängt      gefangen        living  acc:animal      outdoors
watch      -        beobachten   -          -               living  acc:living      outdoors

give       gave     geben        gibt       gegeben         person  dat:person+acc:present -
show       -        zeigen       -          -               person  dat:person+acc:present -
send       sent     schicken     -          -               person  dat:person+acc:present -
bring      brought  bringen      -          gebracht        person  dat:person+acc:present -
lend       lent     leihen       -          geliehen        person  dat:person+acc:goods   -
offer      -        an|bieten    -          angeboten       person  dat:person+acc:goods   -
promise    -        versprechen  verspricht versprochen     person  dat:person+acc:present -
explain    -        erklären     -          -               person  acc:idea+to=dat:person -
describe   -        beschreiben  -          beschrieben     person  acc:goods+to=dat:person -
recommend  -        empfehlen    empfiehlt  empfohlen       person  acc:text+to=dat:person -
belong_to  -        gehören      -          -               goods   dat:person             -

wait       -        warten       -          -               person  for=auf.acc:person,ridden place
think      thought  denken       -          gedacht         person  of=an.acc:person,idea  -
talk       -        sprechen     spricht    gesprochen      person  about=über.acc:topic   with
dream      dreamed  träumen      -          -               person  of=von.dat:person,vehicle -
look       -        auf|passen   -          -               person  after=auf.acc:person,animal -
take_part  took     teil|nehmen  nimmt      teilgenommen    person  in=an.dat:event        with

go         went     gehen        -          ist_gegangen    person  to:place        with
run        ran      laufen       läuft      ist_gelaufen    living  to:outdoors        -
hurry      -        eilen        -          ist_geeilt      person  to:place        -
drive      drove    fahren       fährt      ist_gefahren    person  to:town,abroad     with
travel     -        reisen       -          ist_gereist     person  to:abroad       with
fly        flew     fliegen      -          ist_geflogen    person  to:abroad       with
return     -        zurück|kehren -         ist_zurückgekehrt person to:town,abroad    -
sit        sat      sitzen       -          gesessen        person  on.dat:seat     -
stand      stood    stehen       -          gestanden       upright on.dat:furniture -
lie        lay      liegen       -          gelegen         flat    on.dat:furniture -
place      -        stellen      -          -               person  acc:upright+on.acc:furniture -
carry      -        tragen       trägt      getragen        person  acc:portable+to:place  -
"""

# Verbs that embed a clause, with the conjunction they take.
CLAUSE_VERBS = """
say        said     sagen        -          -               person  that            -
believe    -        glauben      -          -               person  that            -
know       knew     wissen       weiß       gewusst         person  that            -
hope       -        hoffen       -          -               person  that            -
notice     -        bemerken     -          -               person  that            -
ask        -        fragen       -          -               person  whether         -
"""
