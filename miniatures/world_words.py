"""Word lists of the micro-world. Order matters: the held-out stories depend on it."""

# (name, pronoun set). A few names carry letters outside ASCII, so that the byte tokens of both tokenizers are trained.
WOMEN = (
    "Mira Tilda Anna Rosa Nadia Ingrid Clara Leila Wanda Hazel Pilar Sofia Marta Yuki Amina Greta Ruth Olive Elena Dora "
    "Freya Mabel Priya Lucia Nora Vera Salma Helga Ivy Bella Zoë Renée Kaja Petra Thea Joan Lena Maud Rania Sunita"
).split()
MEN = (
    "Omar Felix Bruno Hugo Ivan Tariq Oscar Emil Marco Peter Anton Daniel Kofi Rashid Leo Viktor Samuel Pablo Arthur Jonah "
    "Edgar Milo Otto Ravi Simon Walter Bashir Diego Henrik Caleb José Søren Kenji Lewin Ned Piotr Stefan Toby Umar Zeno"
).split()

ROLES = (
    "baker potter fisher miller tailor carpenter painter farmer teacher sailor gardener blacksmith weaver clockmaker postman "
    "doctor shepherd cook librarian musician ferryman beekeeper glassblower mapmaker cobbler barber innkeeper astronomer "
    "engineer apprentice miner poet hunter nurse student merchant"
).split()

TOWN_HEADS = (
    "Alder Brin Cold Dun East Fair Green Hart Iron Kings Lang Mill North Oak Pen Raven Stone Thorn West Winter "
    "Ash Bram Crow Elm Fern Glen Hazel Linden"
).split()
TOWN_TAILS = "ford moor bridge haven wick stead mouth field port dale burn well cliff by worth gate".split()

SPOTS = (
    "the old mill|the harbour|the market square|the stone bridge|the school|the railway station|the library|the town hall|"
    "the lighthouse|the apple orchard|the chapel|the village green|the bakery|the fish market|the windmill|the east gate|"
    "the boat house|the brick kiln|the water tower|the inn|the old quarry|the lower field|the ferry landing|the bell tower"
).split("|")

ADJECTIVES = "silver red blue wooden golden small heavy painted copper green striped old black white yellow tiny".split()
OBJECTS = (
    "lantern whistle kettle compass flute mirror basket umbrella notebook teapot drum clock telescope ring vase kite "
    "saddle chest violin spyglass bell mask"
).split()

KIN = "sister brother mother father uncle aunt cousin grandmother grandfather niece nephew neighbour".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
DEADLINES = "noon|sunset|the evening bell|nightfall|the last ferry|supper".split("|")
NUMBERS = "two three four five six seven eight nine ten eleven twelve".split() * 3 + [str(n) for n in range(13, 40)]

HIDES = (
    "under a pile of sacks|behind the stove|inside an empty barrel|beneath the floorboards|on top of a tall cupboard|"
    "between two fence posts|in a hollow tree|under the stairs|inside an old boot|behind a row of jars|in a coal bucket|"
    "under a broken cart"
).split("|")
SEARCH_TOOLS = "a bright lamp|a clever dog|a long ladder|a hand-drawn map|a rake|a pair of strong glasses".split("|")

ANIMALS = "goat|donkey|kitten|calf|lamb|goose|puppy|pony|piglet|hen".split("|")
THIEVES = "a magpie|a fox|a squirrel|a jackdaw|a badger|a stray dog|a raccoon|an otter".split("|")

# (sentence in the story, phrase in the summary): the summary says it in other words.
ROAD_TROUBLES = [
    ("Halfway there, a wheel came off {his} cart.", "a broken wheel"),
    ("At the river {he} saw that the bridge had been washed away.", "a washed-out bridge"),
    ("Thick fog rolled in, and {he} could no longer see the road.", "thick fog"),
    ("Then {his} horse went lame and would not take another step.", "a lame horse"),
    ("A tall tree had fallen across the only road.", "a fallen tree"),
    ("Near the hills {he} took a wrong turn and was soon lost.", "a wrong turn"),
    ("By then the snow lay so deep that no wagon could pass.", "deep snow"),
    ("A guard at the gate would not let {him} through without a pass.", "a strict guard"),
]
RIDES = "a small raft|a grey donkey|a bicycle|a hay cart|a fast horse|a sledge".split("|")

# (contest, tool)
CONTESTS = [
    ("baking contest", "oven"), ("kite race", "kite"), ("boat race", "boat"), ("fiddle contest", "fiddle"),
    ("archery match", "bow"), ("cart race", "cart"), ("pottery fair", "wheel"), ("fishing contest", "rod"),
    ("flower show", "greenhouse"), ("painting contest", "easel"),
]
CAUSES = "a storm|a runaway goat|a falling branch|a careless cousin|a kicking mule|a small fire|a swarm of wasps|a loose shutter".split("|")
PRIZES = "a golden cup|a fat goose|a sack of sugar|a blue ribbon|a new coat|a barrel of honey|a silver spoon|a week at the sea".split("|")

MACHINES = "clock|water pump|mill wheel|ferry engine|street organ|printing press|bread oven|telegraph|weather vane|big crane".split("|")
PARTS = "a brass gear|a steel spring|a leather belt|a glass valve|a copper pipe|an iron bolt|a new chain|a long screw".split("|")
MAKESHIFTS = "a wooden spoon|a bent nail|an old belt|a piece of rope|a chair leg|a tin can|a fishing line|a door hinge".split("|")

JOBS = [
    ("washing dishes", "wash dishes"), ("chopping wood", "chop wood"), ("picking apples", "pick apples"),
    ("painting fences", "paint fences"), ("carrying bricks", "carry bricks"), ("feeding the pigs", "feed the pigs"),
    ("sweeping chimneys", "sweep chimneys"), ("mending nets", "mend nets"), ("sorting letters", "sort letters"),
    ("polishing boots", "polish boots"),
]

SKILLS = [
    ("play the fiddle", "the strings only screamed"), ("juggle", "every ball rolled under the table"),
    ("dance", "both feet went the wrong way"), ("sing", "the dogs in the street began to howl"),
    ("carve wood", "the wooden bird looked like a potato"), ("paint faces", "every face looked like a turnip"),
    ("swim", "the water was too cold and too deep"), ("play chess", "the game was over in four moves"),
    ("bake bread", "the loaf was as hard as a stone"), ("tell stories", "the listeners fell asleep"),
]
EVENTS = "the harvest feast|the spring fair|the winter market|the school party|the summer games|the lantern night".split("|")

TRAPS = [
    ("had fallen into a dry well", "a dry well"), ("was stuck on a steep roof", "a steep roof"),
    ("had sunk deep into the mud", "deep mud"), ("was trapped on thin ice", "thin ice"),
    ("had climbed a tall chimney", "a tall chimney"), ("was caught in a thorn hedge", "a thorn hedge"),
    ("was locked in a burning barn", "a burning barn"), ("was drifting away on a raft", "a drifting raft"),
]
TOOLS = "a rope|a ladder|a wide plank|a blanket|a bucket of corn|a fishing net|a long pole|a wheelbarrow".split("|")

FOODS = "cheese|honey|apples|plums|bread|sausages|butter|pears|cakes|nuts|eggs|pies".split("|")

CROPS = "pumpkins|beans|carrots|tomatoes|cabbages|onions|turnips|strawberries|potatoes|melons".split("|")
PESTS = [
    ("Then a long drought came, and the soil cracked.", "a drought"),
    ("Then snails came in the night and ate the young leaves.", "snails"),
    ("Then a late frost turned the young plants black.", "frost"),
    ("Then a flock of crows found the garden.", "crows"),
    ("Then the rain would not stop, and the beds stood under water.", "too much rain"),
    ("Then rabbits dug a hole under the fence.", "rabbits"),
    ("Then a strong wind tore the plants out of the ground.", "a strong wind"),
]
CURES = "wood ash|old nets|warm straw|a low stone wall|a scarecrow|clay pipes|glass jars|a ditch".split("|")

VEHICLES = "train|ferry|night coach|mail boat|bus|steamer".split("|")
OCCASIONS = "birthday|wedding|concert|farewell party|graduation|house-warming".split("|")
SHELTERS = "a warm bed|a bowl of soup and a bench|a place by the fire|a room above the shop|a bunk on a barge|a hayloft".split("|")

WEATHERS = (
    "a cold and windy morning|a bright spring day|a grey afternoon|a hot day in July|a frosty morning|a rainy week|"
    "a quiet autumn evening|the first warm day of the year|a foggy dawn|a stormy night"
).split("|")
SCENES = (
    "the streets were almost empty|the shops were just opening|smoke rose from every chimney|the children were still at school|"
    "the gulls were fighting over fish heads|people hurried home with full bags|the church bell had just rung|"
    "the whole town smelled of fresh paint|carts rattled over the stones|nobody felt like working"
).split("|")
