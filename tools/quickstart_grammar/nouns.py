"""The nouns: one table for each kind of thing, and classes that cut across the kinds.

An entry reads ``english = article German, plural``.  A star marks the weak masculines, which take
-(e)n outside the nominative (der Junge, den Jungen).  A noun without a plural is a mass noun
(bread, coffee), and a feminine that is its own plural has nothing else (die Eltern).  Places carry
three prepositions more: the English one and the German one for being there, and the German one for
going there (``station = der Bahnhof, Bahnhöfe, at, an, zu``).
"""

KINDS: dict[str, str] = {
    "person": """
    man = der Mann, Männer            | woman = die Frau, Frauen
    child = das Kind, Kinder          | girl = das Mädchen, Mädchen
    boy = der Junge*, Jungen          | father = der Vater, Väter
    mother = die Mutter, Mütter       | brother = der Bruder, Brüder
    sister = die Schwester, Schwestern | grandmother = die Großmutter, Großmütter
    grandfather = der Großvater, Großväter | uncle = der Onkel, Onkel
    aunt = die Tante, Tanten          | son = der Sohn, Söhne
    daughter = die Tochter, Töchter   | niece = die Nichte, Nichten
    nephew = der Neffe*, Neffen       | friend = der Freund, Freunde
    neighbor = der Nachbar*, Nachbarn | colleague = der Kollege*, Kollegen
    teacher = der Lehrer, Lehrer      | doctor = der Arzt, Ärzte
    nurse = die Krankenschwester, Krankenschwestern | baker = der Bäcker, Bäcker
    farmer = der Bauer*, Bauern
    waiter = der Kellner, Kellner     | waitress = die Kellnerin, Kellnerinnen
    student = der Student*, Studenten | policeman = der Polizist*, Polizisten
    judge = der Richter, Richter
    engineer = der Ingenieur, Ingenieure
    king = der König, Könige
    pilot = der Pilot*, Piloten
    queen = die Königin, Königinnen   | guest = der Gast, Gäste
    tourist = der Tourist*, Touristen | customer = der Kunde*, Kunden
    boss = der Chef, Chefs            | painter = der Maler, Maler
    musician = der Musiker, Musiker
    husband = der Mann, Männer        | wife = die Frau, Frauen
    baby = das Baby, Babys            | family = die Familie, Familien
    parents = die Eltern, Eltern      | people = die Leute, Leute
    dentist = der Zahnarzt, Zahnärzte | driver = der Fahrer, Fahrer
    singer = der Sänger, Sänger       | soldier = der Soldat*, Soldaten
    president = der Präsident*, Präsidenten
    visitor = der Besucher, Besucher  | neighbour = der Nachbar*, Nachbarn
    person = die Person, Personen
    """,
    "animal": """
    dog = der Hund, Hunde             | cat = die Katze, Katzen
    horse = das Pferd, Pferde         | cow = die Kuh, Kühe
    bird = der Vogel, Vögel           | mouse = die Maus, Mäuse
    lion = der Löwe*, Löwen           | bear = der Bär*, Bären
    monkey = der Affe*, Affen         | elephant = der Elefant*, Elefanten
    rabbit = das Kaninchen, Kaninchen | pig = das Schwein, Schweine
    duck = die Ente, Enten
    animal = das Tier, Tiere          | chicken = das Huhn, Hühner
    snake = die Schlange, Schlangen   | frog = der Frosch, Frösche
    spider = die Spinne, Spinnen
    """,
    "foodstuff": """
    apple = der Apfel, Äpfel          | pear = die Birne, Birnen
    banana = die Banane, Bananen      | egg = das Ei, Eier
    potato = die Kartoffel, Kartoffeln | tomato = die Tomate, Tomaten
    cake = der Kuchen, Kuchen         | sausage = die Wurst, Würste
    roll = das Brötchen, Brötchen     | cookie = der Keks, Kekse
    strawberry = die Erdbeere, Erdbeeren | onion = die Zwiebel, Zwiebeln
    pizza = die Pizza, Pizzas
    orange = die Orange, Orangen
    sandwich = das Sandwich, Sandwiches | lemon = die Zitrone, Zitronen
    carrot = die Karotte, Karotten
    """,
    "dish": """
    bread = das Brot   | cheese = der Käse       | soup = die Suppe | rice = der Reis
    meat = das Fleisch | chocolate = die Schokolade | honey = der Honig
    fish = der Fisch   | butter = die Butter        | sugar = der Zucker
    salad = der Salat  | food = das Essen
    fruit = das Obst   | salt = das Salz
    """,
    "drink": """
    coffee = der Kaffee | tea = der Tee   | milk = die Milch | water = das Wasser
    juice = der Saft    | beer = das Bier | wine = der Wein  | lemonade = die Limonade
    """,
    "thing": """
    ball = der Ball, Bälle            | key = der Schlüssel, Schlüssel
    bag = die Tasche, Taschen         | suitcase = der Koffer, Koffer
    clock = die Uhr, Uhren            | umbrella = der Regenschirm, Regenschirme
    knife = das Messer, Messer        | spoon = der Löffel, Löffel
    plate = der Teller, Teller        | cup = die Tasse, Tassen
    glass = das Glas, Gläser          | bottle = die Flasche, Flaschen
    lamp = die Lampe, Lampen          | carpet = der Teppich, Teppiche
    mirror = der Spiegel, Spiegel
    camera = die Kamera, Kameras
    computer = der Computer, Computer | radio = das Radio, Radios
    guitar = die Gitarre, Gitarren
    ring = der Ring, Ringe            | gift = das Geschenk, Geschenke
    box = die Schachtel, Schachteln   | basket = der Korb, Körbe
    picture = das Bild, Bilder        | telephone = das Telefon, Telefone
    television = der Fernseher, Fernseher | machine = die Maschine, Maschinen
    pen = der Stift, Stifte           | photo = das Foto, Fotos
    phone = das Telefon, Telefone     | toy = das Spielzeug, Spielzeuge
    present = das Geschenk, Geschenke | map = die Karte, Karten
    ticket = das Ticket, Tickets | pencil = der Bleistift, Bleistifte
    notebook = das Heft, Hefte        | fork = die Gabel, Gabeln
    passport = der Pass, Pässe
    towel = das Handtuch, Handtücher  | stone = der Stein, Steine
    piano = das Klavier, Klaviere
    """,
    "plant": """
    flower = die Blume, Blumen        | tree = der Baum, Bäume
    """,
    "body": """
    eye = das Auge, Augen             | hand = die Hand, Hände
    nose = die Nase, Nasen            | foot = der Fuß, Füße
    head = der Kopf, Köpfe
    arm = der Arm, Arme               | leg = das Bein, Beine
    ear = das Ohr, Ohren              | mouth = der Mund, Münder
    face = das Gesicht, Gesichter     | finger = der Finger, Finger
    tooth = der Zahn, Zähne
    """,
    "hair": """
    hair = das Haar
    """,
    "mealtime": """
    breakfast = das Frühstück         | lunch = das Mittagessen
    dinner = das Abendessen
    """,
    "sky": """
    sun = die Sonne, Sonnen           | moon = der Mond, Monde
    weather = das Wetter, Wetter
    star = der Stern, Sterne          | cloud = die Wolke, Wolken
    sky = der Himmel, Himmel
    """,
    "matter": """
    money = das Geld | time = die Zeit | music = die Musik
    """,
    "tongue": """
    German = das Deutsch              | English = das Englisch
    French = das Französisch          | Spanish = das Spanisch
    """,
    "color": """
    color = die Farbe, Farben         | colour = die Farbe, Farben
    """,
    "sport": """
    football = der Fußball            | tennis = das Tennis
    chess = das Schach
    """,
    "opening": """
    door = die Tür, Türen             | window = das Fenster, Fenster
    """,
    "furniture": """
    table = der Tisch, Tische         | chair = der Stuhl, Stühle
    bed = das Bett, Betten            | sofa = das Sofa, Sofas
    cupboard = der Schrank, Schränke  | shelf = das Regal, Regale
    desk = der Schreibtisch, Schreibtische | bench = die Bank, Bänke
    fridge = der Kühlschrank, Kühlschränke
    """,
    "surface": """
    wall = die Wand, Wände
    """,
    "clothing": """
    shirt = das Hemd, Hemden          | dress = das Kleid, Kleider
    coat = der Mantel, Mäntel         | jacket = die Jacke, Jacken
    shoe = der Schuh, Schuhe          | hat = der Hut, Hüte
    skirt = der Rock, Röcke           | sweater = der Pullover, Pullover
    boot = der Stiefel, Stiefel
    cap = die Mütze, Mützen
    sock = die Socke, Socken
    """,
    "vehicle": """
    car = das Auto, Autos             | bicycle = das Fahrrad, Fahrräder
    bus = der Bus, Busse              | train = der Zug, Züge
    boat = das Boot, Boote
    taxi = das Taxi, Taxis            | motorcycle = das Motorrad, Motorräder
    plane = das Flugzeug, Flugzeuge   | ship = das Schiff, Schiffe
    bike = das Fahrrad, Fahrräder
    """,
    "text": """
    book = das Buch, Bücher           | letter = der Brief, Briefe
    newspaper = die Zeitung, Zeitungen | story = die Geschichte, Geschichten
    poem = das Gedicht, Gedichte      | song = das Lied, Lieder
    report = der Bericht, Berichte
    movie = der Film, Filme           | film = der Film, Filme
    magazine = die Zeitschrift, Zeitschriften | dictionary = das Wörterbuch, Wörterbücher
    sentence = der Satz, Sätze        | page = die Seite, Seiten
    """,
    "idea": """
    problem = das Problem, Probleme   | plan = der Plan, Pläne
    question = die Frage, Fragen      | rule = die Regel, Regeln
    task = die Aufgabe, Aufgaben      | mistake = der Fehler, Fehler
    language = die Sprache, Sprachen  | word = das Wort, Wörter
    idea = die Idee, Ideen            | exercise = die Übung, Übungen
    number = die Zahl, Zahlen         | example = das Beispiel, Beispiele
    job = der Job, Jobs
    """,
    "event": """
    concert = das Konzert, Konzerte   | wedding = die Hochzeit, Hochzeiten
    course = der Kurs, Kurse          | exam = die Prüfung, Prüfungen
    party = das Fest, Feste           | trip = der Ausflug, Ausflüge
    game = das Spiel, Spiele
    lesson = die Stunde, Stunden      | meeting = das Treffen, Treffen
    test = der Test, Tests            | birthday = der Geburtstag, Geburtstage
    """,
    "place": """
    kitchen = die Küche, Küchen, in, in, in     | garden = der Garten, Gärten, in, in, in
    house = das Haus, Häuser, in, in, in        | school = die Schule, Schulen, in, in, in
    church = die Kirche, Kirchen, in, in, in    | park = der Park, Parks, in, in, in
    hospital = das Krankenhaus, Krankenhäuser, in, in, in
    station = der Bahnhof, Bahnhöfe, at, an, zu | airport = der Flughafen, Flughäfen, at, an, zu
    market = der Markt, Märkte, at, auf, auf    | museum = das Museum, Museen, in, in, in
    supermarket = der Supermarkt, Supermärkte, in, in, in
    theater = das Theater, Theater, in, in, in  | cinema = das Kino, Kinos, in, in, in
    restaurant = das Restaurant, Restaurants, in, in, in
    hotel = das Hotel, Hotels, in, in, in       | office = das Büro, Büros, in, in, in
    factory = die Fabrik, Fabriken, in, in, in  | forest = der Wald, Wälder, in, in, in
    library = die Bibliothek, Bibliotheken, in, in, in
    city = die Stadt, Städte, in, in, in        | village = das Dorf, Dörfer, in, in, in
    bridge = die Brücke, Brücken, on, auf, zu   | island = die Insel, Inseln, on, auf, auf
    beach = der Strand, Strände, on, an, an     | lake = der See, Seen, at, an, an
    river = der Fluss, Flüsse, at, an, an       | bakery = die Bäckerei, Bäckereien, in, in, in
    pharmacy = die Apotheke, Apotheken, in, in, in | castle = das Schloss, Schlösser, in, in, in
    store = das Geschäft, Geschäfte, in, in, in | stadium = das Stadion, Stadien, in, in, in
    farm = der Bauernhof, Bauernhöfe, on, auf, auf | street = die Straße, Straßen, on, auf, auf
    room = das Zimmer, Zimmer, in, in, in       | bathroom = das Badezimmer, Badezimmer, in, in, in
    university = die Universität, Universitäten, at, an, an
    bank = die Bank, Banken, in, in, zu         | zoo = der Zoo, Zoos, at, in, in
    bedroom = das Schlafzimmer, Schlafzimmer, in, in, in
    apartment = die Wohnung, Wohnungen, in, in, in
    town = die Stadt, Städte, in, in, in        | country = das Land, Länder, in, in, in
    mountain = der Berg, Berge, on, auf, auf    | sea = das Meer, Meere, at, an, an
    road = die Straße, Straßen, on, auf, auf    | theatre = das Theater, Theater, in, in, in
    classroom = das Klassenzimmer, Klassenzimmer, in, in, in
    shop = das Geschäft, Geschäfte, in, in, in  | corner = die Ecke, Ecken, at, an, an
    """,
}

# A class names what a verb may take: whole kinds, single nouns, or both.
CLASSES: dict[str, str] = {
    "living": "person animal",
    # What only questions ask for.
    "nothing": "",
    "anything": "living edible drink thing plant opening surface furniture clothing vehicle text idea event"
    " place body color music money",
    "goods": "thing clothing furniture car bicycle boat motorcycle bike",
    "wares": "goods edible drink text flower house",
    "owned": "living goods edible drink vehicle text plant idea house garden farm hotel room restaurant money time job",
    "known": "person text idea event place animal",
    "received": "givable money flower animal drink job",
    "brought": "givable drink flower",
    "taken": "thing clothing foodstuff text bus train taxi plane money",
    "used": "thing furniture vehicle word language",
    "readable": "book letter newspaper story poem report word magazine sentence page dictionary",
    "baked": "cake cookie pizza roll bread",
    "drawn": "living plant picture house bridge castle body",
    "built": "house bridge boat castle school church ship street hotel hospital",
    "cleaned": "opening surface furniture kitchen house room bathroom shoe mirror lamp bicycle bedroom apartment"
    " fridge tooth",
    "edible": "foodstuff dish",
    "eaten": "edible mealtime",
    "meal": "soup rice meat pizza potato egg sausage",
    "made": "mealtime soup salad coffee tea lemonade mistake plan",
    "menu": "foodstuff dish drink",
    "valuable": "thing clothing vehicle",
    "openable": "door window suitcase bottle box bag cupboard eye letter fridge",
    "lockable": "door window suitcase cupboard car apartment",
    "device": "lamp radio computer television machine camera",
    "portable": "suitcase box basket bag chair table lamp mirror carpet computer",
    "upright": "bottle cup glass plate lamp basket box suitcase",
    "flat": "book letter newspaper key ball knife spoon umbrella camera ring picture map"
    " ticket pencil notebook magazine passport fork",
    "seat": "chair bench sofa bed",
    "writing": "letter story poem song report sentence",
    "loan": "book newspaper magazine dictionary",
    "givable": "thing clothing text",
    "topic": "idea event text",
    "washable": "clothing car plate cup glass body hair",
    "ridden": "bus train taxi boat bike",
    "rented": "car bicycle boat motorcycle house bike apartment",
    "driven": "car bus taxi motorcycle",
    "comparable": "vehicle thing clothing",
    "outdoors": "garden park forest village river lake bridge beach island farm house mountain sea",
    "urban": "school church park hospital station airport market museum supermarket theater cinema"
    " bank zoo town theatre mountain sea shop"
    " restaurant hotel office factory library city village beach lake bakery pharmacy castle store"
    " stadium farm",
    "swimming": "lake river sea",
    "buildings": "school church park hospital station airport museum supermarket theater cinema"
    " bank zoo theatre shop"
    " restaurant hotel library bridge castle lake river bakery pharmacy store stadium market",
    "container": "fridge cupboard box bag suitcase basket",
    "hung": "picture clock mirror map lamp photo",
    "junction": "corner church school station bank bridge",
    "overflown": "house city town village lake sea mountain forest river bridge park island garden",
    "smelling": "edible drink flower",
    "settlement": "city village town country",
    "shops": "supermarket store shop market bakery pharmacy city village town",
    "home": "house village city castle hotel island farm town country apartment",
}

# Professions say what somebody is without an article: er ist Arzt.
PROFESSIONS = (
    "teacher doctor baker farmer waiter student policeman judge engineer painter"
    " musician nurse waitress dentist driver singer soldier pilot"
)

# German has feminine forms of these: sie ist Ärztin.
FEMININES = """
friend = Freundin   | neighbor = Nachbarin | colleague = Kollegin | teacher = Lehrerin
doctor = Ärztin     | baker = Bäckerin     | farmer = Bäuerin     | pilot = Pilotin
student = Studentin | judge = Richterin    | engineer = Ingenieurin
boss = Chefin       | painter = Malerin    | musician = Musikerin
neighbour = Nachbarin | dentist = Zahnärztin | driver = Fahrerin    | singer = Sängerin
soldier = Soldatin  | president = Präsidentin | visitor = Besucherin
"""

# What the measures of food and drink hold.
QUANTITIES = """
cup = coffee tea | glass = water milk juice wine beer lemonade | bottle = water milk juice wine beer lemonade
piece = cake bread cheese meat chocolate
"""

# What people are to one another, and what they are with an article.
ROLES = (
    "father mother brother sister son daughter uncle aunt grandfather grandmother friend neighbor"
    " colleague boss teacher doctor nephew niece king queen neighbour dentist"
)

# What one may be without being anybody's.
HUMANS = "man woman boy girl child baby"

# Nouns that say whether somebody is male or female.
SEXES = {
    "m": "man boy father brother grandfather uncle son nephew husband",
    "f": "woman girl mother sister grandmother aunt daughter niece wife",
}
FEMALE_NAMES = "Anna Maria Julia Sophie"

NAMES = "Anna Peter Maria Paul Julia Thomas Sophie Felix"

CITIES = """
Berlin = Berlin | Munich = München | Cologne = Köln | Vienna = Wien    | Zurich = Zürich
Rome = Rom      | Paris = Paris    | Prague = Prag  | Warsaw = Warschau | Hamburg = Hamburg
"""

COUNTRIES = """
Germany = Deutschland | Austria = Österreich | France = Frankreich | Italy = Italien
Spain = Spanien       | Poland = Polen       | Greece = Griechenland | England = England
"""
