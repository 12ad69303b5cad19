"""Variables of sourced files, read as data: what bash gives them, or a doubt; nothing is run."""

from __future__ import annotations

import os
import subprocess

import multihoming_shell as shell
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

NAMES = ("IPADDR", "PREFIX", "GATEWAY", "NAME")
SOURCE = r"""
. /dev/stdin >/dev/null 2>&1
for name in IPADDR PREFIX GATEWAY NAME; do
    [ -z "${!name+x}" ] || printf '%s=%s\0' "$name" "${!name}"
done
printf done
"""


def bash(text):
    """Return what bash makes of a sourced text; None when that ended bash itself."""
    # It finds no program: all that random text can start is bash's own.
    run = subprocess.run(
        ["/bin/bash", "-c", SOURCE],
        input=os.fsencode(text),
        capture_output=True,
        check=False,
        env={"PATH": "/nonexistent", "LC_ALL": "C"},
        cwd="/proc/self",
        timeout=30,
    )
    *variables, end = os.fsdecode(run.stdout).split("\0")
    return dict(each.split("=", 1) for each in variables) if end == "done" else None


def read(text):
    """Return the variables of which there is no doubt, None for those that are not set."""
    values = shell.assignments("ifcfg-eth1", text)
    return {name: values.get(name) for name in NAMES if shell.doubt(values, name) is None}


def why(text, name="IPADDR"):
    return shell.doubt(shell.assignments("ifcfg-eth1", text), name)


# --- values -----------------------------------------------------------------------------------

PLAIN = [
    ("IPADDR=1", "1"),
    ("IPADDR='1'", "1"),
    ('IPADDR="1"', "1"),
    ("IPADDR='1'\"2\"3\\4", "1234"),
    ("IPADDR='a b'", "a b"),
    ("IPADDR=\"a 'b'\"", "a 'b'"),
    ("IPADDR='a \"b\"'", 'a "b"'),
    (r"IPADDR=a\ b\$c\`d", "a b$c`d"),
    (r'IPADDR="a\$b\`c\"d\\e\f"', 'a$b`c"d\\e\\f'),
    (r"IPADDR='a\b$c`d'", r"a\b$c`d"),
    ("IPADDR=a#b", "a#b"),
    ("IPADDR=a #b", "a"),
    ("IPADDR=a; # 'b", "a"),
    ("IPADDR=a\\\nb", "ab"),
    ("IPA\\\nDDR=ab", "ab"),
    ('IPADDR="a\\\nb"', "ab"),
    ('IPADDR="a\nb"', "a\nb"),
    ("IPADDR=1; IPADDR=2", "2"),
    ("IPADDR=1 PREFIX=2", "1"),
    ("  \tIPADDR=1\t ;", "1"),
    ("export IPADDR=1 PREFIX=2", "1"),
    ("IPADDR=1\nexport IPADDR", "1"),
    ("IPADDR=1\nIPADDR+=2", "12"),
    ("IPADDR=", ""),
    ("IPADDR=''", ""),
    ("IPADDR=é", "é"),
    ("IPADDR=\udcff", "\udcff"),
    ("IPADDR=*?[a]", "*?[a]"),
    ("IPADDR=a~b=c", "a~b=c"),
    ("#IPADDR=1", None),
    ("MYIPADDR=1\nIPADDRESS=1", None),
    ("PREFIX=1", None),
    ("", None),
]


@pytest.mark.parametrize(("text", "value"), PLAIN)
def test_a_plain_assignment_is_read_as_bash_reads_it(text, value):
    assert read(f"{text}\n")["IPADDR"] == bash(f"{text}\n").get("IPADDR") == value


ASKED = [
    "IPADDR=$X",
    'IPADDR="$X"',
    "IPADDR=${X:-1}",
    "IPADDR=$(echo 1)",
    'IPADDR="$(echo "1 2")"',
    "IPADDR=`echo 1`",
    "IPADDR=$((1+1))",
    "IPADDR=$'1'",
    "IPADDR=~",
    "export IPADDR={1,2}",
    "IPADDR=(1 2)",
    "IPADDR[0]=1",
    "IPADDR=1 true",
    "IPADDR = 1",
    "\ufeffIPADDR=1",
    '"IPADDR"=1',
    "true && IPADDR=1",
    "false || IPADDR=1",
    "IPADDR=1 &",
    "IPADDR=1 | true",
    "IPADDR=1 >/dev/null",
    "(IPADDR=1)",
    "if true; then IPADDR=1; fi",
    "if true\nthen\nIPADDR=1\nfi",
    "for IPADDR in 1 2; do :; done",
    "case x in x) IPADDR=1;; esac",
    "f() { IPADDR=1; }; f",
    "IPADDR=1\nunset IPADDR",
    "read IPADDR",
    "printf -v IPADDR 1",
    "declare IPADDR=1",
    "readonly IPADDR=1",
    "declare -i IPADDR\nIPADDR=1+1",
    ": ${IPADDR:=1}",
    "NAME=${IPADDR:=1}",
    "NAME=$((IPADDR=1))",
    "NAME=$((IPADDR++))",
    "NAME=$[IPADDR++]",
    "((IPADDR=1))",
    "IPADDR=1\nIPADDR+=$X",
    "cat <<END\nIPADDR=1\nEND",
    "return\nIPADDR=1",
    "[ -d / ] && return\nIPADDR=1",
    "fi\nIPADDR=1",
    "; IPADDR=1",
    "; NAME=1\nIPADDR=1",
    "true ;; true\nIPADDR=1",
    "false &&\nIPADDR=1",
    "true >\nIPADDR=1",
    "'return'\nIPADDR=1",
    "NAME='1\nIPADDR=1",
    'NAME="${X:-it\'s}"\nIPADDR=1\nPREFIX="\'}"',
    "NAME=$(cat <<E\n)\nIPADDR=1\nE\n)",
    "NAME=$(\n# )\nIPADDR=1\n)",
    "IPADDR=1\r",
    "IPADDR='1'\r",
    "source /dev/null",
    ". ./common",
    "eval IPADDR=1",
    "$X IPADDR=1",
    "IPADDR=\0001",
    "NAME=" + "$(" * 10000 + "\nIPADDR=1",
]


@pytest.mark.parametrize("text", ASKED)
def test_what_only_a_shell_can_tell_is_in_doubt(text):
    assert why(f"{text}\n").startswith("ifcfg-eth1 ")


def test_doubt_names_the_line_and_what_to_write():
    message = why('PREFIX="a\nb" # two lines\n\nIPADDR=$X # mine\n')
    assert message == (
        "ifcfg-eth1 line 4: 'IPADDR=$X # mine' needs a shell to be understood; "
        "write the value itself there"
    )
    assert "line 2: 'IPADDR=1' holds a carriage return" in why("\r\nIPADDR=1\r\n")


ELSEWHERE = [
    "NAME=$X",
    'NAME="it\'s $(reboot) `id`"',
    "NAME=$IPADDR",
    "NAME=${IPADDR%.*}",
    "[ -f /x ] && NAME=1",
    '[ -n "$IPADDR" ] || echo none >&2',
    "echo 'it is mine'; logger done",
    "true | true & true",
]
AFTER = [
    "if [ -f /x ]; then NAME=1; fi",
    "case $X in a) NAME=1;; esac",
    "f() { :; }",
    "cat <<END\nhello\nEND",
    "return 0",
    "NAME='never closed",
]


SETS_ANY = """
. source eval exec command builtin trap export unset read printf let getopts mapfile readarray
""".split()
TURNS = """
if then elif else fi for while until select do done case esac { } function ! time coproc return exit
break continue set shopt alias enable declare typeset readonly
""".split()


@pytest.mark.parametrize("word", [*SETS_ANY, "$X", '"$X"', "`x`", "'read'", "re\\ad"])
def test_a_command_that_may_set_any_variable_puts_all_in_doubt(word):
    for line in (f"{word} -x", f"A=1 {word} -x", f"true; {word} -x", f"true | {word} -x"):
        for text in (f"IPADDR=1\n{line}\n", f"{line}\nIPADDR=1\n"):
            message = why(text)
            assert message and repr(line) in message
    # As an argument it is only a word.
    assert read(f"IPADDR=1\ntrue {word}\nPREFIX=2\n")["PREFIX"] == "2"


@pytest.mark.parametrize("word", [*TURNS, "'if'", "i\\f"])
def test_after_a_word_that_turns_the_shell_elsewhere_nothing_is_certain(word):
    for line in (word, f"{word} x", f"A=1 {word}", f"true; {word} x"):
        assert repr(line) in why(f"{line}\nIPADDR=1\n")
        assert read(f"IPADDR=1\n{line}\n")["IPADDR"] == "1"
    assert read(f"true {word}\nIPADDR=1\n")["IPADDR"] == "1"


@pytest.mark.parametrize("sign", ["&>", "&>>", ">>", ">", ">&", ">|", "<&", "<>", "<"])
def test_a_redirection_is_no_reason_to_doubt_unless_it_leads_nowhere(sign):
    for line in (f"true {sign} x", f"true {sign}x", f"{sign} x true", f"true {sign} x; true"):
        assert read(f"{line}\nIPADDR=1\n")["IPADDR"] == "1", line
    for line in (f"true {sign}", f"true {sign} {sign} x", f"true {sign} ; true"):
        assert read(f"{line}\nIPADDR=1\n").get("IPADDR") is None, line
    # Behind it stands no command.
    assert read(f"true {sign} read\nIPADDR=1\n")["IPADDR"] == "1"
    assert why(f"{sign} x read IPADDR\n")


@pytest.mark.parametrize("sign", ["&&", "||", "|", "|&"])
def test_a_line_that_goes_on_in_the_next_is_followed_no_further(sign):
    assert read(f"true {sign} true\nIPADDR=1\n")["IPADDR"] == "1"
    assert why(f"true {sign}\nIPADDR=1\n")
    assert why(f"{sign} true\nIPADDR=1\n")


@pytest.mark.parametrize("sign", [";", "&"])
def test_a_command_may_end_in_a_sign(sign):
    assert read(f"true {sign}\nIPADDR=1\n")["IPADDR"] == "1"
    assert read(f"true {sign} true\nIPADDR=1\n")["IPADDR"] == "1"


@pytest.mark.parametrize(
    "line",
    [
        "IPADDR=$X",
        "NAME=${IPADDR:=1}",
        "NAME=${IPADDR=1}",
        "NAME=$((IPADDR=1))",
        "NAME=$[IPADDR++]",
        "true IPADDR=1",
        "true IPADDR[2]=1",
        "true IPADDR+=1",
        "true 'IPADDR=1'",
        "true IPADDR",
        "true $((IPADDR))",
    ],
)
def test_a_variable_is_in_doubt_where_a_line_may_set_it_in_passing(line):
    assert repr(line) in why(f"IPADDR=1\nPREFIX=2\n{line}\n")
    assert read(f"IPADDR=1\nPREFIX=2\n{line}\n")["PREFIX"] == "2"


@pytest.mark.parametrize("line", ["true $IPADDR", "true ${IPADDR}", "true xIPADDR", "NAME=$IPADDR"])
def test_a_variable_that_is_only_used_is_in_no_doubt(line):
    assert read(f"IPADDR=1\n{line}\n")["IPADDR"] == "1"


def test_messages_say_where_and_what_to_write():
    shell_needed = "needs a shell to be understood; write the value itself there"
    assert why("IPADDR=1\nread X\n") == f"ifcfg-eth1 line 2: 'read X' {shell_needed}"
    assert why("if x\nA=1\nIPADDR=1\n") == f"ifcfg-eth1 line 1: 'if x' {shell_needed}"
    assert why("\n\nIPADDR='1\n2' x\n") == f'ifcfg-eth1 line 3: "IPADDR=\'1" {shell_needed}'
    assert why("\tIPADDR=1\r\n") == (
        "ifcfg-eth1 line 1: 'IPADDR=1' holds a carriage return, which the scripts take for a part "
        "of the value; write the file with plain newlines"
    )
    assert why("A=1\0\n") == "ifcfg-eth1 holds a NUL byte; write the file anew"


def test_what_is_added_to_a_value_in_doubt_stays_in_doubt():
    assert "line 1" in why("IPADDR=$X\n") and "line 2" in why("IPADDR=$X\nIPADDR+=1\n")
    assert read("IPADDR=$X\nIPADDR=1\n")["IPADDR"] == "1"


@pytest.mark.parametrize("line", ELSEWHERE)
def test_what_stands_elsewhere_is_no_reason_to_doubt(line):
    assert read(f"{line}\nIPADDR=1\n")["IPADDR"] == "1"


@pytest.mark.parametrize("line", [*ELSEWHERE, *AFTER])
def test_what_stands_below_is_no_reason_to_doubt(line):
    assert read(f"IPADDR=1\n{line}\n")["IPADDR"] == "1"


def test_nothing_is_ever_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for text in ("NAME=$(touch ran)", "touch ran", "NAME=`touch ran`", "if touch ran; then :; fi"):
        shell.assignments("ifcfg-eth1", f"{text}\n")
    assert list(tmp_path.iterdir()) == []


def test_of_two_files_the_second_counts():
    first = shell.assignments("network", "IPADDR=1\nPREFIX=$X\n")
    both = shell.sourced_over(first, shell.assignments("ifcfg-eth1", "PREFIX=2\nNAME=3\n"))
    assert both == {"IPADDR": "1", "PREFIX": "2", "NAME": "3"}
    whatever = shell.sourced_over(first, shell.assignments("ifcfg-eth1", ". common\nNAME=3\n"))
    assert "ifcfg-eth1 line 1" in shell.doubt(whatever, "IPADDR")


# --- random files, compared with bash ---------------------------------------------------------

TEXT = st.text("ab1.:/ -_#;'\"\\$`&|<>()=~*?![]{}\t\né", max_size=8)


def single(text):
    return "'" + text.replace("'", "'\\''") + "'"


def double(text):
    return '"' + "".join(f"\\{char}" if char in '\\$`"' else char for char in text) + '"'


def escaped(text):
    return "".join("'\n'" if char == "\n" else f"\\{char}" for char in text)


PARTS = st.builds(lambda quote, text: quote(text), st.sampled_from([single, double, escaped]), TEXT)
ASSIGNED = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(["", "export ", "  "]),
    st.sampled_from(NAMES),
    st.sampled_from(["=", "=", "+="]),
    st.lists(PARTS, max_size=3).map("".join),
    st.sampled_from(["\n", ";", " ;", "\n\n", " # it's\n", ";# x\n"]),
)


@settings(max_examples=150)
@given(st.lists(ASSIGNED, max_size=6).map("".join))
def test_quoted_assignments_are_read_as_bash_reads_them(text):
    variables = bash(text)
    assert read(text) == {name: variables.get(name) for name in NAMES}


FRAGMENTS = """\
IPADDR= PREFIX= GATEWAY= NAME= IPADDR+= export 1 2 ' " \\ ; # $ ${ } $( ) ( ` $NAME ${GATEWAY:=x}
$((PREFIX++)) && || | & if true; false; then else fi for in do done case esac x) ;; { true unset
NAME return <<E E < [[ ]] ((NAME=1)) ~ * {a,b} = declare -i readonly eval $'a' $"x" ! 'x' "y" [0]
"""
FRAGMENT = st.sampled_from(
    [*FRAGMENTS.split(), " ", " ", "\t", "\n", "\n", "\n", "\\\n", "\r", "\ufeff"]
)


@settings(max_examples=300)
@given(st.lists(FRAGMENT, max_size=20).map("".join))
def test_no_file_gives_another_value_than_bash_does(text):
    variables = bash(text)
    if variables is not None:
        assert read(text).items() <= {name: variables.get(name) for name in NAMES}.items()
