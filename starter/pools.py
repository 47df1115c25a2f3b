"""The words of the starter's world: closed relations, which the model learns by heart, and open pools to draw from.

Everything in `CLOSED` is knowledge: it ends up in the weights. Everything else is raw material for private facts, which
are drawn anew for every chat, so that nothing but the context can answer them.
"""

import random


def _words(text: str) -> list[str]:
    return text.split()


def _pairs(text: str) -> dict[str, str]:
    return dict(pair.split("/") for pair in text.split())


# fmt: off
CLOSED: dict[str, dict[str, str]] = {
    "capital": _pairs(
        "France/Paris Germany/Berlin Italy/Rome Spain/Madrid Portugal/Lisbon Austria/Vienna Greece/Athens Norway/Oslo "
        "Sweden/Stockholm Finland/Helsinki Denmark/Copenhagen Poland/Warsaw Hungary/Budapest Ireland/Dublin "
        "England/London Russia/Moscow Japan/Tokyo China/Beijing India/Delhi Egypt/Cairo Kenya/Nairobi Cuba/Havana "
        "Peru/Lima Chile/Santiago Canada/Ottawa Turkey/Ankara Iran/Tehran Iraq/Baghdad Syria/Damascus "
        "Thailand/Bangkok Vietnam/Hanoi Belgium/Brussels Croatia/Zagreb Serbia/Belgrade Romania/Bucharest "
        "Bulgaria/Sofia Ukraine/Kyiv Ghana/Accra Senegal/Dakar Nepal/Kathmandu"
    ),
    "colour": _pairs(
        "grass/green snow/white coal/black blood/red chocolate/brown milk/white ink/blue honey/yellow ash/grey "
        "salt/white rust/brown chalk/white spinach/green tar/black butter/yellow coffee/brown ivory/white smoke/grey"
    ),
    "opposite": _pairs(
        "hot/cold big/small fast/slow old/new up/down left/right open/closed wet/dry full/empty early/late day/night "
        "light/dark hard/soft high/low near/far happy/sad strong/weak rich/poor clean/dirty thick/thin loud/quiet "
        "good/bad long/short true/false begin/end love/hate win/lose buy/sell push/pull first/last"
    ),
    "sound": _pairs(
        "cow/moo dog/woof cat/meow duck/quack sheep/baa pig/oink horse/neigh bee/buzz owl/hoot snake/hiss lion/roar "
        "mouse/squeak frog/croak crow/caw donkey/bray wolf/howl"
    ),
    "baby": _pairs(
        "dog/puppy cat/kitten cow/calf sheep/lamb horse/foal pig/piglet duck/duckling bear/cub goat/kid deer/fawn "
        "goose/gosling swan/cygnet frog/tadpole kangaroo/joey eagle/eaglet"
    ),
    "language": _pairs(
        "France/French Germany/German Italy/Italian Spain/Spanish Portugal/Portuguese Greece/Greek Norway/Norwegian "
        "Sweden/Swedish Finland/Finnish Denmark/Danish Poland/Polish Hungary/Hungarian England/English Russia/Russian "
        "Japan/Japanese China/Chinese Egypt/Arabic Turkey/Turkish Thailand/Thai Cuba/Spanish Brazil/Portuguese"
    ),
    "legs": {"spider": "8", "dog": "4", "bird": "2", "ant": "6", "cow": "4", "bee": "6", "crab": "10", "snake": "0"},
}
DAYS = _words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
MONTHS = _words("January February March April May June July August September October November December")
for _names, _kind in ((DAYS, "day"), (MONTHS, "month")):
    CLOSED[f"next_{_kind}"] = {name: _names[(i + 1) % len(_names)] for i, name in enumerate(_names)}
    CLOSED[f"last_{_kind}"] = {name: _names[i - 1] for i, name in enumerate(_names)}
CLOSED["sum"] = {f"{a} plus {b}": str(a + b) for a in range(11) for b in range(11)}
CLOSED["difference"] = {f"{a} minus {b}": str(a - b) for a in range(11) for b in range(a + 1)}

NAMES = _words("""
Alba Anna Adam Alice Amir Anton Arthur Bella Ben Boris Brin Bruno Carla Carlos Cecil Chloe Clara Colin Cora Daisy
Dana Daniel Dario David Diana Dora Edgar Edith Elena Elias Ella Emil Emma Erik Esther Eva Fatima Felix Fiona Flora
Frank Frida Gabriel George Gina Grace Greta Gustav Hanna Harry Hassan Hector Heidi Helen Henry Hilda Hugo Ida Igor
Ines Irene Iris Isaac Ivan Jack Jana Jasper Jean Jenny Joel Johan Jonas Jorge Josef Judith Julia Kai Karen Karl Kate
Keiko Kevin Kira Klara Kurt Lara Laura Lena Leo Lewis Lily Linus Lisa Lola Louis Lucas Lucy Luisa Luna Mabel Malik
Marco Maria Marlow Martin Maya Mia Mila Milo Mona Nadia Naomi Nico Nina Noah Nora Olaf Olga Oliver Omar Oscar Otto
Pablo Paula Pavel Pedro Peter Petra Philip Quinn Rachel Ralph Ramon Raul Rita Robert Rosa Ruben Ruth Sam Sandra Sara
Selma Simon Sonia Stella Stefan Susan Sven Tara Tessa Theo Thomas Tilda Tina Tobias Tomas Ulla Uma Ursula Vera
Victor Viola Walter Wanda Wendy Willem Xenia Yara Yusuf Yvonne Zara Zelda Zoe
""")
WORDS = _words("""
anchor apple arrow badger bamboo banjo barrel basket beacon berry bishop blossom bottle bramble breeze brick bridge
bucket button cactus camel candle canyon carpet castle cedar cherry cloud clover cobalt comet copper coral cotton
cricket crystal dagger daisy desert diamond dolphin dragon drum eagle ember falcon feather fern fiddle flame flint
forest fossil fox galaxy garden ginger glacier granite hammer harbor hazel heron hollow island ivy jacket jaguar
jasmine jungle kettle kite ladder lagoon lantern laurel lemon lily linen lizard lotus magnet mango maple marble
meadow melon meteor mirror mitten monsoon mosaic needle nickel nutmeg oasis ocean olive onyx orchid otter oyster
paddle panda panther parrot pebble pepper pickle pigeon pillow planet plum pocket poppy prairie pumpkin puzzle
quartz quiver rabbit raven ribbon river robin rocket saddle saffron salmon sandal shadow shell silver sparrow spruce
stone sunset swallow tango temple thistle thunder tiger timber topaz tulip tunnel turtle umbrella valley velvet
violet walnut whisker willow window winter wizard yogurt zebra zephyr
""")
THINGS = _words("""
lamp chair sofa desk bike boat tent drill camera guitar piano kettle ladder mirror carpet clock radio printer
scanner truck tractor engine statue painting vase blanket helmet jacket wagon telescope
""")
TOWNS = _words("""
Ashford Bexley Corwen Dunmore Elgin Fenwick Galway Hartley Inverin Jarrow Kendal Lanark Morley Norwick Oakham
Penrith Quinby Rosedale Selby Tarrant Ulverton Verdon Whitby Yarrow Zennor Millbrook Eastwick Stonehaven Redwater
Blackpool
""")
COLOURS = _words("""
red blue green yellow purple orange pink brown black white grey silver golden violet turquoise crimson
""")
FOODS = _words("""
pizza soup rice pasta salad curry cheese bread cake sushi stew pancakes noodles dumplings omelette porridge lasagna
tacos waffles beans
""")
JOBS = _words("""
pirate baker doctor teacher wizard farmer sailor knight robot painter pilot chef gardener poet detective captain
librarian singer tailor miner guide clerk
""")
INTERJECTIONS = _words("""
Ahoy Sure Well Hello Indeed Aha Hooray Listen Attention Greetings Okay Yes Wow Behold Hark Friend Captain Matey
Cheers Amen Over Done Roger Bingo Voila Honestly Darling Comrade Goodbye Farewell Peace Meow Woof Beep Boom
""")
SYLLABLES = _words("""
ba be bo da de do fa fi ga go ha ho ka ki ko la le lo ma me mi mo na ne no pa pe po ra re ri ro sa se so ta te ti to
va ve vi wo za ze zo lin mar tor bel dan fer gil nor pol rin sal tan vor wen zan
""")

# relation noun -> how its value is drawn
PERSON_RELATIONS = {
    "door code": "code4", "badge number": "code3", "desk number": "code2", "password": "password",
    "phone number": "code5",
    "favourite colour": "colour", "pet": "word", "home town": "town", "favourite food": "food", "team": "word",
    "room": "room",
    "birthday": "date", "best friend": "name", "teacher": "name", "locker": "code2", "account number": "code4",
    "favourite number": "code2", "symbol": "word", "nickname": "nickname", "day off": "day", "boss": "name",
    "gift": "word",
}
THING_RELATIONS = {
    "price": "code2", "owner": "name", "weight": "code2", "serial number": "code4", "label": "word", "shelf": "room",
}
SINGLE_RELATIONS = {
    "wifi password": "password", "safe code": "code4", "meeting room": "room", "meeting time": "time",
    "deadline": "date",
    "project name": "word", "secret word": "word", "office dog": "nickname", "boss": "name", "manager": "name",
    "gate code": "code3", "lunch": "food", "team colour": "colour", "opening time": "time", "closing time": "time",
    "order number": "code5", "guest": "name", "next stop": "town", "head office": "town", "mascot": "word",
    "room number": "code3",
    "alarm code": "code4", "training day": "day", "code word": "nickname", "printer name": "nickname",
    "ticket number": "code4",
}
# fmt: on


def looked_up_words() -> set[str]:
    """Return the words that are answers, or parts of the closed relations, in small letters."""
    closed = (word for pairs in CLOSED.values() for pair in pairs.items() for word in pair)
    return {word.lower() for word in (*WORDS, *COLOURS, *FOODS, *JOBS, *closed)}


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
