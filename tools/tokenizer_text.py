"""Hard multilingual strings for tools/make_tokenizer_vectors.py; standard library only.

Characters are kept to those of Unicode 3.2 plus emoji, so that regular-expression and normalisation tables of any
recent Unicode version agree about every string.
"""

import builtins
import functools
import keyword
import random
import unicodedata

LLAMA3_SPECIAL = ["<|begin_of_text|>", "<|end_of_text|>", "<|reserved_special_token_0|>", "<|start_header_id|>",
                  "<|end_header_id|>", "<|eot_id|>"]
QWEN2_NOT_SPECIAL = ["<tool_call>", "</tool_call>"]
QWEN2_SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] + QWEN2_NOT_SPECIAL
SPECIAL_TEXT = ["<unk>", "<s>", "</s>", "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<tool_call>",
                "</tool_call>"] + LLAMA3_SPECIAL + ["<|eot_id", "<S>", "<0x0A>", "< s>", "<|", "[INST]", "▁", "Ġ", "##"]

# Whole words that the llama3 kind holds in its vocabulary without any merge leading to them; no other text has them.
UNREACHABLE = [" zyxwvutq", "qzqzqz", " jjkkjj", " XQXQ", "vvwwvv"]

# name: (letters, what stands between words)
SCRIPTS = {
    "latin": ("abcdefghijklmnopqrstuvwxyz", " "), "latin_ext": ("aeioubcdlmnprstväöüßéèñçøåæłşğıơưệđž", " "),
    "upper": ("ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÜÉØ", " "), "cyrillic": ("абвгдежзийклмнопрстуфхцчшщъыьэюяё", " "),
    "greek": ("αβγδεζηθικλμνξοπρστυφχψωςάέήίόύώ", " "), "hebrew": ("אבגדהוזחטיכלמנסעפצקרשתםןךףץ", " "),
    "arabic": ("ابتثجحخدذرزسشصضطظعغفقكلمنهويةىءآ", " "), "armenian": ("աբգդեզէըթժիլխծկհձղճմյնշոչպջռսվտրցւփքօֆ", " "),
    "georgian": ("აბგდევზთიკლმნოპჟრსტუფქღყშჩცძწჭხჯჰ", " "),
    "devanagari": ("कखगघचछजझटठडढणतथदधनपफबभमयरलवशषसहािीुूेैोौ्ं", " "),
    "bengali": ("কখগঘচছজটডতথদধনপফবভমযরলশষসহািীুেো্ং", " "), "tamil": ("கஙசஞடணதநபமயரலவழளறனாிீுூெேைொோ்", " "),
    "thai": ("กขคงจฉชซญดตถทธนบปผพฟมยรลวศสหอะาิีึืุูเแโใไ่้", ""), "ethiopic": ("ሀለሐመሠረሰሸቀበተቸነኘአከወዘየደጀገጠጨጰጸፀፈፐ", " "),
    "han": ("的一是不了人我在有他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可她里后", ""),
    "han_old": ("學國語漢字體龍龜靈鑑讀書畫見車馬鳥魚電話東門開關", ""),
    "hiragana": ("あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわをんがぎぐっゃゅょ", ""),
    "katakana": ("アイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワンガギグーッャュョ", ""),
    "hangul": ("가나다라마바사아자차카타파하고노도로모보소오조는은을를이의에서한국어말글사람", " "),
}

SENTENCES = [
    "All human beings are born free and equal in dignity and rights.",
    "They are endowed with reason and conscience and should act towards one another in a spirit of brotherhood.",
    "Alle Menschen sind frei und gleich an Würde und Rechten geboren.",
    "Tous les êtres humains naissent libres et égaux en dignité et en droits.",
    "Todos los seres humanos nacen libres e iguales en dignidad y derechos.",
    "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw.",
    "Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền.",
    "Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar.",
    "Все люди рождаются свободными и равными в своем достоинстве и правах.",
    "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα.",
    "כל בני אדם נולדו בני חורין ושווים בערכם ובזכויותיהם.",
    "يولد جميع الناس أحرارا متساوين في الكرامة والحقوق.",
    "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।",
    "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ",
    "人人生而自由,在尊严和权利上一律平等。他们赋有理性和良心。", "人皆生而自由;在尊嚴及權利上均各平等。",
    "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
    "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.",
    "The quick brown fox jumps over the lazy dog; it's what foxes don't usually do, we've heard.",
    "I'm sure you'll see they'd rather wait: 'tis nothing, isn't it? O'Neill's cat SHOULDN'T've run.",
]

CODE = [
    "def add(a, b):\n    return a + b\n", "for (int i = 0; i < n; ++i) {\n\tsum += x[i];\n}\r\n", "if x != y and not z:\n\tpass",
    "#include <vector>\n", "auto&& [key, value] : map", "x = {'a': [1, 2.5e-3], \"b\": None}", "https://example.org/a?b=c&d=%20#e",
    "SELECT * FROM t WHERE id >= 10;", "\\begin{align} x_{i}^{2} \\end{align}", "    \n\n        return self.__dict__\n",
    "a<<=1; b>>=2; c**=3; d//=4; e->f::g()", "user.name+tag@mail.example.com", "C:\\dir\\file.txt", "<div class=\"x\">&nbsp;</div>",
    "// ------------- \t\n", "$ git log --oneline | head -n5", "0xDEADBEEF 1_000_000 3.14159 1e-10 -7 +8", "***bold*** _it_ `code`",
]

EMOJI = [
    "\U0001F600", "\U0001F44D\U0001F3FD", "\U0001F468\u200D\U0001F469\u200D\U0001F467\u200D\U0001F466",
    "\U0001F1E9\U0001F1EA", "\U0001F1EF\U0001F1F5\U0001F1FA", "\u2764\uFE0F", "\u2764", "1\uFE0F\u20E3",
    "\U0001F3F3\uFE0F\u200D\U0001F308", "\U0001F937\U0001F3FB\u200D\u2642\uFE0F", "\U0001F680\U0001F680\U0001F680",
    "\U0001F3F4\U000E0067\U000E0062\U000E0065\U000E006E\U000E0067\U000E007F", "\u263A\uFE0E", "\U0001F3FF",
]

# Decomposed and composed forms, marks out of order, singletons, composition exclusions, Hangul jamo.
MARKS = [
    "e\u0301", "\u00e9", "a\u0323\u0302", "a\u0302\u0323", "\u1ead", "\u212b", "\u2126", "\u00c5", "A\u030a",
    "\u0958", "\u0915\u093c", "\u0344", "\u0308\u0301", "\u1100\u1161\u11a8", "\u1100\u1161", "\uac00\u11a8",
    "\uac01", "\u1112\u1161\u11ab\u1100\u1173\u11af", "o\u0328\u0304\u0301", "\u01ed\u0301", "\u2adc", "\ufb1d",
    "\ufb01", "\u2460", "\u00bd", "\ufdfa", "\u3262", "s\u0323\u0307", "\u1e69", "\u0307\u0323", "q\u0307\u0323",
    "\u0f71\u0f72\u0f74", "\u0f73", "\uf900", "\U0002F800", "\u0041\u0301\u0301\u0301\u0301", "\u0301",
    "\u05e9\u05bc\u05c1", "\u05e9\u05c1\u05bc", "\u0649\u0655\u0654", "\u09c7\u09be", "\u0bc6\u0bbe", "\u0cc6\u0cc2\u0cd5",
]

CONTRACTIONS = ["I'm", "you'LL", "we'Ve", "HE'D", "it's", "IT'S", "don'T", "they'RE", "'s", "'S", "x'\u017f", "''s", "'ll'd",
                "'M'm", "can\u2019t", "l'\u00e9t\u00e9", "rock'n'roll", "'rest", "'vest", "'Ll", "'dd", "'tt", "D's's"]
DIGITS = ["0", "7", "42", "123", "1234", "12345", "1234567", "\u0661\u0662\u0663\u0664", "\u0967\u0968\u0969\u0970",
          "\uff11\uff12\uff13", "x\u00b2\u00b3", "\u2167\u2163", "\u00bc\u00bd", "3.14", "1,000,000", "\u4e09\u5341",
          "\u0e51\u0e52", "a1b22c333d4444", "\u2488", "\u2070\u2074", "00000000", "\U0001D7CE\U0001D7D7"]
SPACES = [" ", "  ", "   ", "    ", "        ", "\t", "\t\t", "\n", "\n\n", "\r\n", "\r", "\r\n\r\n", " \n", "\n ", " \t ",
          "\u00a0", "\u3000", "\u2003", "\u2009 ", "\u200b", "\u2028", "\u2029", "\u0085", "\x0b", "\x0c", "\u1680",
          "\u202f", "\ufeff", "\u2060", "\x1c", "\x1f", " " * 13, "\n" * 5, " " * 40]
PUNCTUATION = ["!", "?!", "...", "\u2026", "--", "\u2014", "\u00ab\u00bb", "\u201c\u201d", "\u3001\u3002", "\uff01", "()", "[]{}", "@#$%", "^&*",
               "~`|\\", "\u00bf\u00a1", "\u060c\u061f", "\u0964", "<>", "==", "!=", "\u2192", "\u221e\u2260", "\u20ac\u00a3\u00a5", "\u00a9\u00ae", "_", "'", '"', "''", "\u30fb", "\u3014\u3015"]
CONTROL = ["\x00", "\x01", "\x07", "\x08", "\x1b[0m", "\x7f", "\x80", "\x9f", "\u00ad", "\u200e", "\u200f", "\u202e",
           "\u202a", "\ufffd", "\ufffe", "\uffff", "\ue000", "\uf8ff", "\U000F0000", "\U0010FFFF",
           "\U0010FFFD", "\u0378"]
LETTERS = ["\u01c5", "\u02b0", "\u00aa\u00ba", "\u0130\u0131", "\u00df", "\u03a3\u03c3\u03c2", "\U00010400\U00010428", "\U00020000\U0002A6D6",
           "\u3105\u3106", "\ua000\ua001", "\u1401\u1402", "\u16a0\u16a1", "\u2160", "\U0001D400\U0001D4D0", "\uff21\uff42", "\uff76\uff9e",
           "\u0640\u0640", "\u0e46", "\u3031", "\u212a", "\u017f", "\u2800", "\u24b6"]


@functools.lru_cache(maxsize=None)
def lexicon(script):
    letters, _ = SCRIPTS[script]
    rng = random.Random("lexicon " + script)
    return ["".join(rng.choices(letters, k=rng.choice((1, 2, 2, 3, 4, 5, 6, 8)))) for _ in range(300)]


@functools.lru_cache(maxsize=None)
def old_characters():
    """Every assigned, non-surrogate character of Unicode 3.2 whose category has not changed since."""
    old = unicodedata.ucd_3_2_0
    return [chr(c) for c in range(0x20000) if old.category(chr(c)) not in ("Cn", "Cs", "Co")
            and old.category(chr(c)) == unicodedata.category(chr(c))]


def words(rng):
    script = rng.choice(list(SCRIPTS))
    parts = [rng.choice(lexicon(script)) for _ in range(rng.randint(1, 4))]
    if rng.random() < 0.2:
        parts = [p.title() for p in parts]
    return SCRIPTS[script][1].join(parts)


def slice_of(rng, texts):
    text = rng.choice(texts)
    start = rng.randrange(len(text))
    return text[start:start + rng.randint(3, 30)]


IDENTIFIERS = sorted({*keyword.kwlist, *dir(builtins), *map(str.lower, dir(builtins))})


def code_line(rng):
    form = rng.choice(("{}.{}({})", "{} = {}[{}]", "\t{} {} {}\n", "    return {}({}, {})", "{}_{}{}", "{}: {} -> {}", "# {} {}, {}."))
    return form.format(*rng.choices(IDENTIFIERS, k=3))


def character_name(rng):
    name = unicodedata.name(rng.choice(old_characters()), "unnamed")
    return rng.choice((name, name.title(), name.lower(), name.title()))


def noise(rng):
    return "".join(rng.choices(old_characters(), k=rng.randint(1, 5)))


def run(rng):
    return rng.choice("aA0 .-=\n\t\u00e9\u4e2d!_\u3042'\U0001F600") * rng.randint(2, 24)


def picker(items):
    return lambda rng: rng.choice(items)


SEGMENTS = [
    (words, 8), (lambda rng: slice_of(rng, SENTENCES), 7), (lambda rng: slice_of(rng, CODE), 4),
    (code_line, 4), (character_name, 2),
    (picker(EMOJI), 2), (picker(MARKS), 3), (picker(CONTRACTIONS), 2), (picker(DIGITS), 3), (picker(SPACES), 5),
    (picker(PUNCTUATION), 3), (picker(CONTROL), 1), (picker(LETTERS), 1.5), (picker(SPECIAL_TEXT), 1.2), (noise, 2), (run, 0.8),
    (picker(UNREACHABLE), 0.3),
]


def make_string(rng):
    makers, weights = zip(*SEGMENTS)
    parts = [m(rng) for m in rng.choices(makers, weights, k=rng.choice((1, 1, 2, 2, 3, 3, 4, 5)))]
    return rng.choice(("", "", " ")).join(parts)


def fixed_strings():
    """Named hard cases first: they have small, stable indices."""
    strings = ["", " ", "  ", "   ", "\n", "\r\n", "\t", "a", " a", "a ", " a ", "  a", "a  b", "a\nb", "a \n b", "\x00"]
    strings += SPECIAL_TEXT + [f"a{t}b" for t in SPECIAL_TEXT] + [f" {t} " for t in SPECIAL_TEXT]
    strings += [f"{t}{t} x" for t in SPECIAL_TEXT[:14]]
    strings += SENTENCES + CODE + EMOJI + MARKS + CONTRACTIONS + DIGITS + SPACES + PUNCTUATION + CONTROL + LETTERS
    strings += [" " * n + "x" for n in range(2, 20)] + ["\n" * n for n in (2, 3, 8, 17)]
    strings += ["a" * 300, "\u4e2d" * 100, "\U0001F600" * 40, " " * 200, "'" * 64, "0" * 100]
    strings += [f.format(w) for w in UNREACHABLE for f in ("{}", " {}", "{}x", "a {} b", "{}{{}}")]
    return strings
