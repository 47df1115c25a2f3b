"""The words the starter's world is made of: closed relations that the model learns by heart, and open pools to draw from.

Everything in `CLOSED` is knowledge: it ends up in the weights. Everything else is raw material for private facts, which
are drawn anew for every chat, so that nothing but the context can answer them.
"""

import random

CLOSED: dict[str, dict[str, str]] = {
    "capital": dict(
        pair.split("/")
        for pair in (
            "France/Paris Germany/Berlin Italy/Rome Spain/Madrid Portugal/Lisbon Austria/Vienna Greece/Athens Norway/Oslo "
            "Sweden/Stockholm Finland/Helsinki Denmark/Copenhagen Poland/Warsaw Hungary/Budapest Ireland/Dublin England/London "
            "Russia/Moscow Japan/Tokyo China/Beijing India/Delhi Egypt/Cairo Kenya/Nairobi Cuba/Havana Peru/Lima Chile/Santiago "
            "Canada/Ottawa Turkey/Ankara Iran/Tehran Iraq/Baghdad Syria/Damascus Thailand/Bangkok Vietnam/Hanoi Belgium/Brussels "
            "Croatia/Zagreb Serbia/Belgrade Romania/Bucharest Bulgaria/Sofia Ukraine/Kyiv Ghana/Accra Senegal/Dakar Nepal/Kathmandu"
        ).split()
    ),
    "colour": dict(
        pair.split("/")
        for pair in (
            "grass/green snow/white coal/black blood/red chocolate/brown milk/white ink/blue honey/yellow ash/grey salt/white "
            "rust/brown chalk/white spinach/green tar/black butter/yellow coffee/brown ivory/white smoke/grey"
        ).split()
    ),
    "opposite": dict(
        pair.split("/")
        for pair in (
            "hot/cold big/small fast/slow old/new up/down left/right open/closed wet/dry full/empty early/late day/night "
            "light/dark hard/soft high/low near/far happy/sad strong/weak rich/poor clean/dirty thick/thin loud/quiet "
            "good/bad long/short true/false begin/end love/hate win/lose buy/sell push/pull first/last"
        ).split()
    ),
    "sound": dict(
        pair.split("/")
        for pair in (
            "cow/moo dog/woof cat/meow duck/quack sheep/baa pig/oink horse/neigh bee/buzz owl/hoot snake/hiss lion/roar "
            "mouse/squeak frog/croak crow/caw donkey/bray wolf/howl"
        ).split()
    ),
    "baby": dict(
        pair.split("/")
        for pair in (
            "dog/puppy cat/kitten cow/calf sheep/lamb horse/foal pig/piglet duck/duckling bear/cub goat/kid deer/fawn "
            "goose/gosling swan/cygnet frog/tadpole kangaroo/joey eagle/eaglet"
        ).split()
    ),
    "language": dict(
        pair.split("/")
        for pair in (
            "France/French Germany/German Italy/Italian Spain/Spanish Portugal/Portuguese Greece/Greek Norway/Norwegian "
            "Sweden/Swedish Finland/Finnish Denmark/Danish Poland/Polish Hungary/Hungarian England/English Russia/Russian "
            "Japan/Japanese China/Chinese Egypt/Arabic Turkey/Turkish Thailand/Thai Cuba/Spanish Brazil/Portuguese"
        ).split()
    ),
    "legs": {"spider": "8", "dog": "4", "bird": "2", "ant": "6", "cow": "4", "bee": "6", "crab": "10", "snake": "0"},
}
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
for _names, _kind in ((DAYS, "day"), (MONTHS, "month")):
    CLOSED[f"next_{_kind}"] = {name: _names[(i + 1) % len(_names)] for i, name in enumerate(_names)}
    CLOSED[f"last_{_kind}"] = {name: _names[i - 1] for i, name in enumerate(_names)}
CLOSED["sum"] = {f"{a} plus {b}": str(a + b) for a in range(11) for b in range(11)}
CLOSED["difference"] = {f"{a} minus {b}": str(a - b) for a in range(11) for b in range(a + 1)}

# relation -> (the plain answer, known wordings, held-out wordings)
CLOSED_WORDINGS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "capital": (
        "The capital of {s} is {v}.",
        ("What is the capital of {s}?", "Tell me the capital of {s}.", "Which city is the capital of {s}?",
         "Name the capital of {s}.", "Do you know the capital of {s}?", "{s} has which capital?"),
        ("I want to know the capital of {s}.", "What city is {s}'s capital?"),
    ),
    "colour": (
        "The colour of {s} is {v}.",
        ("What is the colour of {s}?", "What colour is {s}?", "Tell me the colour of {s}.", "Which colour does {s} have?",
         "Which colour is {s}?"),
        ("Do you know the colour of {s}?", "Name {s}'s colour."),
    ),
    "opposite": (
        "The opposite of {s} is {v}.",
        ("What is the opposite of {s}?", "Tell me the opposite of {s}.", "Which word is the opposite of {s}?",
         "Name the opposite of {s}.", "Give me the opposite of {s}."),
        ("Do you know the opposite of {s}?", "What word means the opposite of {s}?"),
    ),
    "sound": (
        "A {s} says {v}.",
        ("What does a {s} say?", "Which sound does a {s} make?", "Tell me the sound of a {s}.", "What sound does a {s} make?"),
        ("What is the sound of a {s}?", "Do you know what a {s} says?"),
    ),
    "baby": (
        "A young {s} is a {v}.",
        ("What is a young {s}?", "What do we call a young {s}?", "Tell me the word for a young {s}.", "A young {s} is called what?"),
        ("Which word do we use for a young {s}?", "Name a young {s}."),
    ),
    "language": (
        "People in {s} speak {v}.",
        ("Which language do people speak in {s}?", "What do people speak in {s}?", "Tell me the language of {s}.",
         "What is the language of {s}?"),
        ("Which language do people in {s} speak?", "Do you know the language of {s}?"),
    ),
    "legs": (
        "A {s} has {v} legs.",
        ("How many legs does a {s} have?", "Tell me how many legs a {s} has.", "A {s} has how many legs?"),
        ("Do you know how many legs a {s} has?",),
    ),
    "next_day": (
        "The day after {s} is {v}.",
        ("Which day comes after {s}?", "What is the day after {s}?", "Tell me the day after {s}.", "What day follows {s}?"),
        ("Do you know the day after {s}?",),
    ),
    "last_day": (
        "The day before {s} is {v}.",
        ("Which day comes before {s}?", "What is the day before {s}?", "Tell me the day before {s}."),
        ("Do you know the day before {s}?",),
    ),
    "next_month": (
        "The month after {s} is {v}.",
        ("Which month comes after {s}?", "What is the month after {s}?", "Tell me the month after {s}.", "What month follows {s}?"),
        ("Do you know the month after {s}?",),
    ),
    "last_month": (
        "The month before {s} is {v}.",
        ("Which month comes before {s}?", "What is the month before {s}?", "Tell me the month before {s}."),
        ("Do you know the month before {s}?",),
    ),
    "sum": (
        "{s} is {v}.",
        ("What is {s}?", "How much is {s}?", "Tell me {s}.", "{s}?"),
        ("Do you know what {s} is?", "Give me {s}."),
    ),
    "difference": (
        "{s} is {v}.",
        ("What is {s}?", "How much is {s}?", "Tell me {s}.", "{s}?"),
        ("Do you know what {s} is?", "Give me {s}."),
    ),
}

NAMES = """Alba Anna Adam Alice Amir Anton Arthur Bella Ben Boris Brin Bruno Carla Carlos Cecil Chloe Clara Colin Cora Daisy Dana
Daniel Dario David Diana Dora Edgar Edith Elena Elias Ella Emil Emma Erik Esther Eva Fatima Felix Fiona Flora Frank Frida
Gabriel George Gina Grace Greta Gustav Hanna Harry Hassan Hector Heidi Helen Henry Hilda Hugo Ida Igor Ines Irene Iris Isaac
Ivan Jack Jana Jasper Jean Jenny Joel Johan Jonas Jorge Josef Judith Julia Kai Karen Karl Kate Keiko Kevin Kira Klara Kurt Lara
Laura Lena Leo Lewis Lily Linus Lisa Lola Louis Lucas Lucy Luisa Luna Mabel Malik Marco Maria Marlow Martin Maya Mia Mila Milo
Mona Nadia Naomi Nico Nina Noah Nora Olaf Olga Oliver Omar Oscar Otto Pablo Paula Pavel Pedro Peter Petra Philip Quinn Rachel
Ralph Ramon Raul Rita Robert Rosa Ruben Ruth Sam Sandra Sara Selma Simon Sonia Stella Stefan Susan Sven Tara Tessa Theo Thomas
Tilda Tina Tobias Tomas Ulla Uma Ursula Vera Victor Viola Walter Wanda Wendy Willem Xenia Yara Yusuf Yvonne Zara Zelda Zoe""".split()
WORDS = """anchor apple arrow badger bamboo banjo barrel basket beacon berry bishop blossom bottle bramble breeze brick bridge bucket
button cactus camel candle canyon carpet castle cedar cherry cloud clover cobalt comet copper coral cotton cricket crystal dagger
daisy desert diamond dolphin dragon drum eagle ember falcon feather fern fiddle flame flint forest fossil fox galaxy garden ginger
glacier granite hammer harbor hazel heron hollow island ivy jacket jaguar jasmine jungle kettle kite ladder lagoon lantern laurel
lemon lily linen lizard lotus magnet mango maple marble meadow melon meteor mirror mitten monsoon mosaic needle nickel nutmeg oasis
ocean olive onyx orchid otter oyster paddle panda panther parrot pebble pepper pickle pigeon pillow planet plum pocket poppy prairie
pumpkin puzzle quartz quiver rabbit raven ribbon river robin rocket saddle saffron salmon sandal shadow shell silver sparrow spruce
stone sunset swallow tango temple thistle thunder tiger timber topaz tulip tunnel turtle umbrella valley velvet violet walnut whisker
willow window winter wizard yogurt zebra zephyr""".split()
THINGS = """lamp chair sofa desk bike boat tent drill camera guitar piano kettle ladder mirror carpet clock radio printer scanner
truck tractor engine statue painting vase blanket helmet jacket wagon telescope""".split()
TOWNS = """Ashford Bexley Corwen Dunmore Elgin Fenwick Galway Hartley Inverin Jarrow Kendal Lanark Morley Norwick Oakham Penrith
Quinby Rosedale Selby Tarrant Ulverton Verdon Whitby Yarrow Zennor Millbrook Eastwick Stonehaven Redwater Blackpool""".split()
COLOURS = "red blue green yellow purple orange pink brown black white grey silver golden violet turquoise crimson".split()
FOODS = """pizza soup rice pasta salad curry cheese bread cake sushi stew pancakes noodles dumplings omelette porridge lasagna
tacos waffles beans""".split()
JOBS = """pirate baker doctor teacher wizard farmer sailor knight robot painter pilot chef gardener poet detective captain
librarian singer tailor miner guide clerk""".split()
INTERJECTIONS = """Ahoy Sure Well Hello Indeed Aha Hooray Listen Attention Greetings Okay Yes Wow Behold Hark Friend Captain Matey
Cheers Amen Over Done Roger Bingo Voila Honestly Darling Comrade Goodbye Farewell Peace Meow Woof Beep Boom""".split()
SYLLABLES = """ba be bo da de do fa fi ga go ha ho ka ki ko la le lo ma me mi mo na ne no pa pe po ra re ri ro sa se so ta te ti
to va ve vi wo za ze zo lin mar tor bel dan fer gil nor pol rin sal tan vor wen zan""".split()

# relation noun -> how its value is drawn
PERSON_RELATIONS = {
    "door code": "code4", "badge number": "code3", "desk number": "code2", "password": "password", "phone number": "code5",
    "favourite colour": "colour", "pet": "word", "home town": "town", "favourite food": "food", "team": "word", "room": "room",
    "birthday": "date", "best friend": "name", "teacher": "name", "locker": "code2", "account number": "code4",
    "favourite number": "code2", "symbol": "word", "nickname": "nickname", "day off": "day", "boss": "name", "gift": "word",
}  # fmt: skip
THING_RELATIONS = {"price": "code2", "owner": "name", "weight": "code2", "serial number": "code4", "label": "word", "shelf": "room"}
SINGLE_RELATIONS = {
    "wifi password": "password", "safe code": "code4", "meeting room": "room", "meeting time": "time", "deadline": "date",
    "project name": "word", "secret word": "word", "office dog": "nickname", "boss": "name", "manager": "name",
    "gate code": "code3", "lunch": "food", "team colour": "colour", "opening time": "time", "closing time": "time",
    "order number": "code5", "guest": "name", "next stop": "town", "head office": "town", "mascot": "word", "room number": "code3",
    "alarm code": "code4", "training day": "day", "code word": "nickname", "printer name": "nickname", "ticket number": "code4",
}  # fmt: skip


def new_word(rng: random.Random) -> str:
    """Return a made-up word of two or three syllables, capitalised."""
    return "".join(rng.choice(SYLLABLES) for _ in range(rng.choice((2, 2, 3)))).capitalize()


def draw_name(rng: random.Random) -> str:
    """Return a first name; one in eight is made up."""
    return new_word(rng) if rng.random() < 0.125 else rng.choice(NAMES)


def draw_value(rng: random.Random, kind: str) -> str:
    """Return a fresh value of a private fact."""
    if kind.startswith("code"):
        return "".join(rng.choice("0123456789") for _ in range(int(kind[4:])))
    if kind == "password":
        return f"{rng.choice(WORDS)}{rng.randrange(10)}{rng.randrange(10)}"
    if kind == "room":
        return f"{rng.choice('ABCDEFGH')}{rng.randrange(1, 10)}{rng.randrange(10)}"
    if kind == "date":
        return f"{rng.randrange(1, 29)} {rng.choice(MONTHS)}"
    if kind == "time":
        return f"{rng.randrange(6, 20)}:{rng.choice(('00', '15', '30', '45'))}"
    if kind == "name":
        return draw_name(rng)
    if kind == "nickname":
        return new_word(rng) if rng.random() < 0.25 else rng.choice(WORDS).capitalize()
    return rng.choice({"word": WORDS, "colour": COLOURS, "town": TOWNS, "food": FOODS, "day": DAYS}[kind])
