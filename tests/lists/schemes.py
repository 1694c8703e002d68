#!/usr/bin/python3 -B
"""Keeps what cannot include plugin/hash/schemes.def: the SQL that checks stored hashes, and the manual page.

Run by `make check`; with --write it updates them. The .def file is parsed strictly: what this script does not
understand is an error, even where a C compiler accepts it. That SQL and plugin agree is tested by tests/sql/hashes.sql,
with hashes made from the list by tests/unit/list_schemes.
"""

import re
import sys
from dataclasses import dataclass

from listing import TOP, bring_up_to_date

SOURCE = "plugin/hash/schemes.def"
CONSTANTS = ("plugin/hash/hash.h", "plugin/hash/scheme.h")

# Alphabets whose characters stand for themselves; a length counts characters.
CHARACTERS = ("CRYPT64", "YESCRYPT", "SHACRYPT", "PRINTABLE")

# How SQL counts the bytes that a word of the other alphabets encodes.
BYTES = {
    "BASE64": "length(rtrim(word, '=')) * 3 / 4",
    "BASE64_BARE": "length(word) * 3 / 4",
    "BASE64_DOT": "length(word) * 3 / 4",
    "HEX": "length(word) / 2",
}

# How SQL reads a number from a word. A NUMBER is cut to 10**9, which is above all bounds, so that no product overflows.
NUMBERS = {
    "NUMBER": "CASE WHEN word ~ decimal THEN least(left(word, 10)::bigint, 1000000000) END",
    "TWO_DIGITS": "CASE WHEN word ~ '^[0-9][0-9]$' THEN word::bigint END",
    "CHAR64": "nullif(strpos(digits64, word), 0) - 1",
    "CHARS64": "(SELECT sum((strpos(digits64, substr(word, i, 1)) - 1) * (1::bigint << (6 * i - 6)))\n"
    "            FROM generate_series(1, 5) AS i WHERE word ~ crypt64)",
}
WIDTHS = {"TWO_DIGITS": 2, "CHAR64": 1, "CHARS64": 5}

TOKEN = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\\n]|\\.)*")|(?P<char>'(?:[^'\\\n]|\\.)')|(?P<open>[({])|(?P<close>[)}])
    |(?P<comma>,)|(?P<other>[^\s"'(){},]+))""",
    re.VERBOSE,
)


class Fault(Exception):
    """What is wrong with the list, in words."""


def calls(text):
    """The calls of macros in text, each its name and the source of its arguments."""
    at = 0
    while match := re.compile(r"\s*([A-Z][A-Z0-9_]*)\s*(\()?\s*,?").match(text, at):
        name, at = match[1], match.end()
        if not match[2]:
            yield name, []
            continue
        arguments, depth, start = [], 0, at
        while True:
            token = TOKEN.match(text, at)
            if token is None:
                raise Fault(f"{name}: cannot read: {text[at:at + 40]!r}")
            if depth == 0 and (token["comma"] or token["close"]):
                arguments.append(text[start : token.start()].strip())
                start = token.end()
            depth += bool(token["open"]) - bool(token["close"])
            at = token.end()
            if depth < 0:
                break
        yield name, arguments
        at = re.compile(r"\s*,?").match(text, at).end()
    if text[at:].strip():
        raise Fault(f"not a call of a macro: {text[at:].strip()[:40]!r}")


def literal(source):
    """The text of a C string literal."""
    if not re.fullmatch(r'"[^"\\\n]*"', source):
        raise Fault(f"not a string without escapes: {source}")
    return source[1:-1]


@dataclass
class Part:
    """A part of a form."""

    kind: str
    text: str = ""
    name: str = ""
    alphabet: str = ""
    digest: int = 0
    low: int = 0
    high: int = 0


@dataclass
class Scheme:
    """A row SCHEME()."""

    name: str
    prefix: str
    form: list
    bounds: str
    memory: str
    work: str
    zero: str
    manual: str


@dataclass
class Wrapping:
    """A row WRAPPING()."""

    name: str
    kind: str
    prefixes: list


class Schemes:
    """The list."""

    def __init__(self):
        self.constants = {}
        for path in CONSTANTS:
            found = re.findall(r"\b(HASH_\w+)(?: =|) (?:UINT64_C\()?(\d+)", (TOP / path).read_text(encoding="utf-8"))
            self.constants |= {name: int(value) for name, value in found}
        self.schemes, self.wrappings, self.encodings = [], [], {}
        text = re.sub(r"/\*.*?\*/", "", (TOP / SOURCE).read_text(encoding="utf-8"), flags=re.DOTALL)
        text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)
        for name, arguments in calls(text):
            add = {"SCHEME": self.add_scheme, "WRAPPING": self.add_wrapping, "ENCODING": self.add_encoding}.get(name)
            if add is None:
                raise Fault(f"{name} is no macro of the list")
            add(*arguments)
        self.check()

    # pylint: disable-next=too-many-arguments,too-many-positional-arguments
    def add_scheme(self, name, prefix, form, bounds, memory, work, zero, _password_max, _derive, manual):
        """A row SCHEME()."""
        ((form_name, parts),) = calls(form)
        if form_name != "FORM" or not re.fullmatch(r"'[.A0]'", zero):
            raise Fault(f"{name}: the form or the zero character")
        parts = [self.part(*call) for call in calls(", ".join(parts))]
        self.schemes.append(Scheme(name, literal(prefix), parts, bounds, memory, work, zero[1], literal(manual)))

    def add_wrapping(self, name, kind, *prefixes):
        """A row WRAPPING()."""
        self.wrappings.append(Wrapping(literal(name), kind, [literal(prefix) for prefix in prefixes]))

    def add_encoding(self, name, encoding):
        """A row ENCODING()."""
        self.encodings[literal(name)] = encoding

    def number(self, source):
        """A number, or the name of one."""
        return self.constants[source] if source in self.constants else int(source)

    def part(self, kind, arguments):
        """A part of a form, from the call of its macro."""
        if kind in ("TEXT", "OPTION"):
            return Part(kind, text=literal(*arguments))
        if kind == "END":
            return Part(kind)
        if kind in NUMBERS:
            name, low, high = arguments
            return Part(kind, name=name, low=self.number(low), high=self.number(high))
        if kind in ("SALT", "DIGEST"):
            alphabet, low, high = arguments
            return Part(kind, alphabet=alphabet, low=self.number(low), high=self.number(high))
        if kind == "DIGEST_AND_SALT":
            alphabet, digest, low, high = arguments
            digest, low, high = map(self.number, (digest, low, high))
            return Part(kind, alphabet=alphabet, digest=digest, low=low, high=high)
        raise Fault(f"{kind} is no part of a form")

    def check(self):
        """What the compiler does not see."""
        prefixes = [scheme.prefix for scheme in self.schemes]
        for prefix in prefixes:
            if sum(other.startswith(prefix) for other in prefixes) != 1:
                raise Fault(f"{prefix} begins another scheme as well")
        for wrapping in self.wrappings:
            if wrapping.kind not in ("WHOLE", "REST", "BYTES") or not set(wrapping.prefixes) <= set(prefixes):
                raise Fault(f"{wrapping.name}: its kind, or a prefix that is no scheme's")
        for scheme in self.schemes:
            if scheme.prefix.startswith("{") and not any(scheme.prefix in w.prefixes for w in self.wrappings):
                raise Fault(f"{scheme.prefix} has no WRAPPING()")


# SQL


def quoted(text):
    """A string constant of SQL."""
    return "'" + text.replace("'", "''") + "'"


class Branch:
    """The SQL that reads the hashes of one form, part by part: word is a part, rest what is still to be read."""

    OUTER = " " * 8

    def __init__(self, scheme, constants):
        self.scheme = scheme
        self.indent = self.OUTER
        self.lines = [f"{self.indent}zero := {quoted(scheme.zero)};\n"]
        self.bounded = []
        last = max((i for i, part in enumerate(scheme.form) if part.kind in NUMBERS), default=-1)
        self.kept = next(i for i, part in enumerate(scheme.form) if i > last and part.alphabet)
        parts = [*scheme.form, Part("TEXT")]
        position = 0
        while position < len(scheme.form):
            position += self.read(parts, position)
        if scheme.bounds != "true":
            self.bounded.append(self.expression(scheme.bounds, constants))
        if self.bounded:
            self.add("bounded := bounded AND " + f"\n{self.indent}    AND ".join(self.bounded) + ";")
        for variable, amount in (("memory_kb", scheme.memory), ("work_ms", scheme.work)):
            value = self.expression(amount, constants)
            if value != "0":
                self.add(f"{variable} := CASE WHEN bounded THEN {value} END;")
        if cost(scheme):
            self.add(f"bounds := {quoted(cost(scheme))};")

    def sql(self):
        """The statements."""
        return "".join(self.lines)

    def add(self, *statements):
        """Appends statements, on one line."""
        self.lines.append(self.indent + " ".join(statements) + "\n")

    def expression(self, bounds, constants):
        """A C expression on numbers as SQL."""
        words = {"&&": "AND", "||": "OR", "==": "=", "!=": "<>"}
        sql = []
        for word in re.findall(r"n->\w+|\w+|&&|\|\||[=!<>]=|<<|>>|[-+*/<>()]|\S", bounds):
            if word.startswith("n->"):
                if word[3:] not in [part.name for part in self.scheme.form]:
                    raise Fault(f"{self.scheme.name}: the form has no {word}")
                sql.append(word[3:])
            elif word in constants or word in words:
                sql.append(str(constants.get(word, words.get(word))))
            elif re.fullmatch(r"\d+|[+*/<()]|<=|<<|>>", word):
                sql.append(word)
            else:
                raise Fault(f"{self.scheme.name}: {word} in its bounds or cost")
        text = re.sub(r"\( | \)", lambda m: m[0].strip(), " ".join(sql))
        return re.sub(r"(<<|>>) (\(.*?\)|\w+)", r"\1 \2::integer", text)

    def read(self, parts, position):
        """Reads the part there, and the text that follows and ends it. Returns how many parts these are."""
        part, after = parts[position : position + 2]
        if position == self.kept:
            self.add("decoy := left(plain, length(plain) - length(rest));")
        if part.kind == "TEXT":
            if position > self.kept:
                raise Fault(f"{self.scheme.name}: TEXT() after the first salt must end a salt or digest")
            self.add(f"formed := formed AND starts_with(rest, {quoted(part.text)});", self.drop(part.text))
        elif part.kind == "OPTION":
            self.add(f"IF starts_with(rest, {quoted(part.text)}) THEN", self.drop(part.text))
            self.indent += "    "
        elif part.kind == "END":
            self.indent = self.indent[4:]
            self.add("END IF;")
        else:
            end = self.take(part, after)
            self.check(part, end, position >= self.kept)
            return 2 if end else 1
        return 1

    @staticmethod
    def drop(text):
        """What follows text at the beginning of the rest."""
        return f"rest := substr(rest, {len(text) + 1});"

    def take(self, part, after):
        """Cuts a word off the rest: by its length where that is fixed, else by the text after it, which is returned."""
        width = WIDTHS.get(part.kind) or (part.low if part.alphabet in CHARACTERS and part.low == part.high else 0)
        if width:
            self.add(f"word := left(rest, {width});", f"rest := substr(rest, {width + 1});")
            return ""
        if after.kind != "TEXT":
            raise Fault(f"{self.scheme.name}: {part.kind} is not followed by TEXT()")
        if not after.text:
            self.add("word := rest;", "rest := '';")
        else:
            self.add(
                f"word := split_part(rest, {quoted(after.text)}, 1);",
                f"rest := substr(rest, length(word) + {len(after.text) + 1});",
            )
        return after.text

    def check(self, part, end, in_decoy):
        """Checks the word, and appends to the decoy what replaces it there."""
        if part.kind in NUMBERS:
            if part.high >= 10**9:
                raise Fault(f"{self.scheme.name}: {part.name} may be 10**9 or more")
            self.add(f"{part.name} := {NUMBERS[part.kind]};")
            within = f"{part.name} BETWEEN {part.low} AND {part.high}"
            if self.indent != self.OUTER:
                self.add(f"bounded := {within};")
            else:
                self.bounded.append(within)
            return
        low, high = part.digest + part.low, part.digest + part.high
        length = BYTES.get(part.alphabet, "length(word)")
        between = f"= {low}" if low == high else f"BETWEEN {low} AND {high}"
        self.add(f"formed := formed AND {length} {between} AND word ~ {part.alphabet.lower()};")
        if not in_decoy:
            return
        blank = "repeat(zero, length(word))"
        if part.alphabet == "BASE64":
            blank = "rpad(repeat(zero, length(rtrim(word, '='))), length(word), '=')"
        if part.alphabet == "SHACRYPT":
            blank = "regexp_replace(word, '[^,=]', zero, 'g')"
        self.add(f"decoy := decoy || {blank}" + (f" || {quoted(end)}" if end else "") + ";")


def cost(scheme):
    """The bounds of a scheme's numbers in words."""
    return ", ".join(f"{part.name} {part.low} to {part.high}" for part in scheme.form if part.kind in NUMBERS)


def sql_prefixes(schemes):
    """How each scheme begins."""
    prefixes = [quoted(scheme.prefix) for scheme in schemes.schemes]
    return "".join(f"        WHEN starts_with(plain, {prefix}) THEN {prefix}\n" for prefix in prefixes)


def sql_schemes(schemes):
    """The chain of conditions of parse_hash(). Schemes that differ in their prefix alone share a branch."""
    branches = {}
    for scheme in schemes.schemes:
        branches.setdefault(Branch(scheme, schemes.constants).sql(), []).append(quoted(scheme.prefix))
    text = ""
    for statements, prefixes in branches.items():
        condition = f"IN ({', '.join(prefixes)})" if prefixes[1:] else f"= {prefixes[0]}"
        text += f"    {'ELSIF' if text else 'IF'} prefix {condition} THEN\n{statements}"
    return text


def sql_wrappings(schemes):
    """What a hash with Dovecot's prefix is without it: an expression on the prefix's name."""
    lines = []
    for wrapping in schemes.wrappings:
        first = quoted(wrapping.prefixes[0])
        if wrapping.kind == "WHOLE":
            held = "|".join(re.sub(r"([^\w-])", r"[\1]", prefix) for prefix in wrapping.prefixes)
            plain = f"substring(content FROM '^(?:{held}).*')"
        elif wrapping.kind == "REST":
            plain = f"{first} || content"
        else:
            second = quoted(wrapping.prefixes[1])
            plain = f"CASE encoding WHEN 'HEX' THEN {second} ELSE {first} END || wrapping[3]"
        lines.append(f"            WHEN {quoted(wrapping.name)} THEN\n                {plain}\n")
    return "".join(lines)


def sql_length(schemes):
    """The longest hash."""
    longest = schemes.constants["HASH_MAX"] - 1
    return (
        f"    ELSIF octet_length(hash) > {longest} THEN\n"
        f"        fault := 'the hash is longer than {longest} bytes';\n"
    )


def sql_encodings(schemes):
    """The encodings by their names."""
    return "".join(
        f"            WHEN {quoted(name)} THEN {quoted(encoding)}\n" for name, encoding in schemes.encodings.items()
    )


# The manual page


def page_names(names):
    """Words in a macro's line."""
    return " , ".join(names)


def page_schemes(schemes):
    """The items of a list: prefixes and what they are. Dovecot's second encoding of a scheme is no prefix to know."""
    hidden = [prefix for wrapping in schemes.wrappings for prefix in wrapping.prefixes[1:] if wrapping.kind == "BYTES"]
    items = {}
    for scheme in schemes.schemes:
        text = "; ".join(filter(None, (scheme.manual, cost(scheme) if scheme.bounds == "true" else "")))
        if scheme.prefix not in hidden:
            items.setdefault(text, []).append(scheme.prefix)
    return "".join(f".It Li {page_names(prefixes)}\n{text}\n" for text, prefixes in items.items())


def page_wrappings(schemes):
    """The items of a list: prefixes of Dovecot's that stand before a whole hash, and before which."""
    items = {}
    for wrapping in schemes.wrappings:
        if wrapping.kind == "WHOLE":
            items.setdefault(tuple(sorted(wrapping.prefixes)), []).append(f"{{{wrapping.name}}}")
    return "".join(
        f".It Li {page_names(names)}\nbefore\n.Li {page_names(prefixes)}\n" for prefixes, names in items.items()
    )


def page_encodings(schemes):
    """The names of encodings, in a sentence."""
    *names, last = ["." + name for name in schemes.encodings]
    return f".Li {page_names(names)}\nor\n.Li {page_names([last])} ,\n"


def main():
    """Compares or writes each list."""
    try:
        schemes = Schemes()
        parts = {
            ("contrib/sql/hashes.sql", "length"): sql_length(schemes),
            ("contrib/sql/hashes.sql", "encodings"): sql_encodings(schemes),
            ("contrib/sql/hashes.sql", "wrappings"): sql_wrappings(schemes),
            ("contrib/sql/hashes.sql", "prefixes"): sql_prefixes(schemes),
            ("contrib/sql/hashes.sql", "schemes"): sql_schemes(schemes),
            ("docs/pgsasl.5", "schemes"): page_schemes(schemes),
            ("docs/pgsasl.5", "wrappings"): page_wrappings(schemes),
            ("docs/pgsasl.5", "encodings"): page_encodings(schemes),
        }
    except (Fault, TypeError, ValueError, KeyError) as fault:
        sys.exit(f"{SOURCE}: {fault}")
    return bring_up_to_date(parts)


if __name__ == "__main__":
    sys.exit(main())
