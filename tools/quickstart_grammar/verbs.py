"""The verbs, one to a line: how they inflect and what they take.

Columns: English verb and past tense (its participle is in `english`); German infinitive (a bar
marks a separable prefix), third person singular and participle (``ist_`` marks the auxiliary sein);
the class of the subject; the complements; the adjuncts that suit it (places, with, for, or a key of
`MANNERS` in `complements`), an exclamation mark after those that seldom miss.  A hyphen means
"regular" or "none", an underscore joins the words of a phrasal verb.

Complements are joined by ``+``: ``acc:goods`` is an accusative object of the class goods,
``for=auf.acc:person`` a prepositional one (English *for*, German *auf* with the accusative),
``to=dat:person`` one that only English marks with a preposition; ``to:place``, ``from:abroad``,
``at:home`` and ``on.dat:furniture`` are goals, origins, places and positions.  A question mark
stands after complements that may be missing, and ``acc:nothing`` can only be asked for (what do you
say).  The subject ``it`` is no noun but the word.
"""

VERBS = """
work       -        arbeiten     -          -               person  -               place!,pace
sleep      slept    schlafen     schläft    geschlafen      living  -               place!,skill
dance      -        tanzen       -          -               person  -               place!,with,skill
sing       sang     singen       -          gesungen        person,bird acc:song?   place,with,skill,noise,voice
laugh      -        lachen       -          -               person  -               place!,noise
cry        -        weinen       -          -               person  -               place!
go_shopping went    ein|kaufen   -          -               person  -               shops!,with
play       -        spielen      -          -               living  -               place!,with
play       -        spielen      -          -               person  acc:sport,game  place,with,skill
arrive     -        an|kommen    -          ist_angekommen  person,bus,train,plane - urban!,hour
smile      -        lächeln      -          -               person  -               -
smoke      -        rauchen      -          -               person  -               place
swim       swam     schwimmen    -          ist_geschwommen living  -               swimming,pace
jump       -        springen     -          ist_gesprungen  living  -               outdoors
fly        flew     fliegen      -          ist_geflogen    bird,plane over=über.acc:overflown? pace
shine      shone    scheinen     -          geschienen      sun,moon -              -
begin      began    beginnen     -          begonnen        event,film,movie -      -
start      -        beginnen     -          begonnen        event,film,movie  -               -
fight      fought   kämpfen      -          -               person  -               with
leave      left     ab|fahren    fährt      ist_abgefahren  bus,train,ship -        -
rain       -        regnen       -          -               it      -               -
snow       -        schneien     -          -               it      -               -
get_up     got      auf|stehen   -          ist_aufgestanden person -               hour
wake_up    woke     auf|wachen   -          ist_aufgewacht  living  -               -
fall_asleep fell    ein|schlafen schläft    ist_eingeschlafen living -              -
live       -        wohnen       -          -               person  at:home         -
stay       -        bleiben      -          ist_geblieben   person  at:home         with

visit      -        besuchen     -          -               person  acc:person      -
call       -        an|rufen     -          angerufen       person  acc:person      -
invite     -        ein|laden    lädt       eingeladen      person  acc:person      -
fetch      -        ab|holen     -          -               person  acc:person      place
meet       met      treffen      trifft     getroffen       person  acc:person      place
see        saw      sehen        sieht      gesehen         living  acc:anything    outdoors
hear       heard    hören        -          -               living  acc:living,music outdoors
like       -        mögen        mag        gemocht         living  acc:anything    -
hate       -        hassen       -          -               person  acc:anything    -
know       knew     kennen       -          gekannt         person  acc:known       -
kiss       -        küssen       -          -               person  acc:person      -
hug        hugged   umarmen      -          umarmt          person  acc:person      -
know       knew     wissen       weiß       gewusst         person  -               -
marry      -        heiraten     -          -               person  acc:person      -
ask        -        fragen       -          -               person  acc:person      -
teach      taught   unterrichten -          unterrichtet    person  acc:person,tongue -
love       -        lieben       -          -               person  acc:person      -
greet      -        begrüßen     -          -               person  acc:person      place
miss       -        vermissen    -          -               person  acc:person      -
recognize  -        erkennen     -          erkannt         person  acc:person      -
understand understood verstehen  -          verstanden      person  acc:person,idea,text,tongue? skill
look_for   -        suchen       -          -               person  acc:anything    outdoors
look_at    -        an|sehen     sieht      angesehen       person  acc:living,thing,plant,text -
touch      -        berühren     -          -               person  acc:living,thing,plant,body -
help       -        helfen       hilft      geholfen        person  dat:person?     place
believe    -        glauben      -          -               person  dat:person      -
thank      -        danken       -          -               person  dat:person      -
trust      -        vertrauen    -          -               person  dat:person      -
answer     -        antworten    -          -               person  dat:person?     -
answer     -        beantworten  -          -               person  acc:question,letter -
listen_to  -        zu|hören     -          -               person  dat:person      -
listen_to  -        hören        -          -               person  acc:music,song,radio -
agree_with -        zu|stimmen   -          -               person  dat:person      -
follow     -        folgen       -          ist_gefolgt     living  dat:living      -
run_after  ran      nach|laufen  läuft      ist_nachgelaufen living dat:living      -
turn_left  -        links_ab|biegen - ist_links_abgebogen   person  -               junction!
turn_right -        rechts_ab|biegen - ist_rechts_abgebogen person  -               junction!
smell      -        riechen      -          gerochen        smelling -              scent!
taste      -        schmecken    -          -               menu    -               scent!

have       had      haben        hat        gehabt          living  acc:owned       -
want       -        wollen       will       gewollt         person  acc:wares,animal,money -
get        got      bekommen     -          bekommen        person  acc:received    -
take       took     nehmen       nimmt      genommen        person  acc:taken       -
use        -        benutzen     -          -               person  acc:used        -
do         did      machen       -          -               person  acc:nothing     place
make       made     machen       -          -               person  acc:made        -
study      -        studieren    -          -               person  -               place
leave      left     verlassen    verlässt   verlassen       person  acc:place       -
hold       held     halten       hält       gehalten        person  acc:thing,hand,baby -
break      broke    zerbrechen   zerbricht  zerbrochen      person  acc:plate,cup,glass,bottle,vase,mirror -
push       -        schieben     -          geschoben       person  acc:car,bicycle,bike,chair,table -
pull       -        ziehen       -          gezogen         person  acc:suitcase,chair,table,carpet -
count      -        zählen       -          -               person  acc:money,animal,text,clothing -
pack       -        packen       -          -               person  acc:suitcase,bag -
say        said     sagen        -          -               person  acc:nothing     -
buy        bought   kaufen       -          -               person  acc:wares       for,place
sell       sold     verkaufen    -          -               person  acc:wares       place
need       -        brauchen     -          -               living  acc:wares,person,money,time for
find       found    finden       -          gefunden        living  acc:anything    place
lose       lost     verlieren    -          verloren        person  acc:givable,money,game place
win        won      gewinnen     -          gewonnen        person  acc:game,money? -
choose     chose    aus|wählen   -          -               person  acc:goods       for
bring_along brought mit|bringen  -          mitgebracht     person  acc:givable     for
throw_away threw    weg|werfen   wirft      weggeworfen     person  acc:goods       -
forget     forgot   vergessen    vergisst   vergessen       person  acc:anything    place
steal      stole    stehlen      stiehlt    gestohlen       person  acc:valuable    place
pay_for    paid     bezahlen     -          -               person  acc:goods       -
repair     -        reparieren   -          -               person  acc:vehicle     for,place
build      built    bauen        -          -               person  acc:built       for,place
clean      -        putzen       -          -               person  acc:cleaned     for
park       -        parken       -          -               person  acc:driven      place
rent       -        mieten       -          -               person  acc:rented      for,with
open       -        öffnen       -          -               person  acc:openable    -
close      -        schließen    -          geschlossen     person  acc:openable    -
lock       -        ab|schließen -          abgeschlossen   person  acc:lockable    -
turn_on    -        ein|schalten -          -               person  acc:device      -
turn_off   -        aus|schalten -          -               person  acc:device      -
wear       wore     tragen       trägt      getragen        person  acc:clothing    -
try_on     -        an|probieren -          -               person  acc:clothing    place
take_off   took     aus|ziehen   -          ausgezogen      person  acc:clothing    -
wash       -        waschen      wäscht     gewaschen       person  acc:washable    for
eat        ate      essen        isst       gegessen        person  acc:eaten?      place,pace
eat        ate      fressen      frisst     gefressen       animal  acc:edible?     -
cut        cut      schneiden    -          geschnitten     person  acc:edible      for
bake       -        backen       backt      gebacken        person  acc:baked       for
cook       -        kochen       -          -               person  acc:meal?       for,with,skill
order      -        bestellen    -          -               person  acc:menu        for,place
prepare    -        zu|bereiten  -          -               person  acc:meal,mealtime for
taste      -        probieren    -          -               person  acc:menu        -
drink      drank    trinken      -          getrunken       living  acc:drink?      place,with,pace
write      wrote    schreiben    -          geschrieben     person  acc:writing?    for,pace
read       read     lesen        liest      gelesen         person  acc:readable?   place,pace
learn      -        lernen       -          -               person  acc:tongue,word,poem? place,with,pace
speak      spoke    sprechen     spricht    gesprochen      person  acc:tongue      with,skill
paint      -        malen        -          -               person  acc:drawn?      for,skill
draw       drew     zeichnen     -          -               person  acc:drawn       for
translate  -        übersetzen   -          übersetzt       person  acc:text        for
borrow     -        aus|leihen   -          ausgeliehen     person  acc:loan        for
finish     -        beenden      -          -               person  acc:writing     -
solve      -        lösen        -          -               person  acc:problem,task with
plan       planned  planen       -          -               person  acc:event       with
feed       fed      füttern      -          -               person  acc:animal      outdoors
stroke     -        streicheln   -          -               person  acc:animal      -
catch      caught   fangen       fängt      gefangen        living  acc:animal      outdoors
watch      -        beobachten   -          -               living  acc:living      outdoors
watch      -        sehen        sieht      gesehen         person  acc:movie,film,game with

give       gave     geben        gibt       gegeben         person  dat:person+acc:givable -
show       -        zeigen       -          -               person  dat:person+acc:givable -
send       sent     schicken     -          -               person  dat:person+acc:givable -
bring      brought  bringen      -          gebracht        person  dat:person+acc:brought -
give       gave     geben        gibt       gegeben         person  acc:givable+to=dat:person -
send       sent     schicken     -          -               person  acc:text+to=dat:person -
write      wrote    schreiben    -          geschrieben     person  acc:letter,poem+to=dat:person -
lend       lent     leihen       -          geliehen        person  dat:person+acc:goods   -
offer      -        an|bieten    -          angeboten       person  dat:person+acc:goods   -
promise    -        versprechen  verspricht versprochen     person  dat:person+acc:givable -
tell       told     erzählen     -          -               person  dat:person+acc:story   -
explain    -        erklären     -          -               person  acc:idea        -
explain    -        erklären     -          -               person  acc:idea+to=dat:person -
recommend  -        empfehlen    empfiehlt  empfohlen       person  acc:text+to=dat:person -
belong_to  -        gehören      -          -               goods   dat:person             -

wait       -        warten       -          -               person  for=auf.acc:person,ridden? place
think      thought  denken       -          gedacht         person  of=an.acc:person,idea  -
talk       -        sprechen     spricht    gesprochen      person  about=über.acc:topic?  with
dream      dreamed  träumen      -          -               person  of=von.dat:person,vehicle -
look       -        auf|passen   -          -               person  after=auf.acc:person,animal -
take_part  took     teil|nehmen  nimmt      teilgenommen    person  in=an.dat:event        with

go         went     gehen        -          ist_gegangen    person  to:place        with,hour
come       came     kommen       -          ist_gekommen    living  to:place?       with,hour
come       came     kommen       -          ist_gekommen    person  from:abroad     -
be         was      kommen       -          ist_gekommen    person  from:abroad     -
walk       -        gehen        -          ist_gegangen    person  to:place?       with,pace
run        ran      laufen       läuft      ist_gelaufen    living  to:outdoors?       pace
hurry      -        eilen        -          ist_geeilt      person  to:place        -
drive      drove    fahren       fährt      ist_gefahren    person  to:urban,abroad     with
drive      drove    fahren       fährt      gefahren        person  acc:driven         pace
travel     -        reisen       -          ist_gereist     person  to:abroad       with
fly        flew     fliegen      -          ist_geflogen    person  to:abroad       with
return     -        zurück|kehren -         ist_zurückgekehrt person to:urban,abroad    -
sit        sat      sitzen       -          gesessen        living  on.dat:seat     -
sit        sat      sitzen       -          gesessen        person  next_to=neben.dat:person -
stand      stood    stehen       -          gestanden       upright on.dat:furniture -
stand      stood    stehen       -          gestanden       person  -               place!
lie        lay      liegen       -          gelegen         flat,dog,cat on.dat:furniture -
place      -        stellen      -          -               person  acc:upright+on.acc:furniture -
carry      -        tragen       trägt      getragen        person  acc:portable+to:place  -
"""

# Verbs that embed a clause, with the conjunction they take (`CLAUSES` in grammar.py).
CLAUSE_VERBS = """
say        said     sagen        -          -               person  that            -
believe    -        glauben      -          -               person  that            -
think      thought  denken       -          gedacht         person  that            -
know       knew     wissen       weiß       gewusst         person  that            -
hope       -        hoffen       -          -               person  that            -
notice     -        bemerken     -          -               person  that            -
ask        -        fragen       -          -               person  whether         -
ask        -        fragen       -          -               person  why             -
know       knew     wissen       weiß       gewusst         person  why             -
"""
