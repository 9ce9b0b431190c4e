"""Task families by name, and which of them are never trained on. To add one: a file, and one line below.

Folders say the same: `train/` and `held_out/`. A held-out family differs from all of `train/` in what is asked and in
how it looks, and has words of its own (`held_out/words.py`).
"""

import pkgutil

from scorer.training.data.families.base import Family
from scorer.training.data.sample import Split

PACKAGE = "scorer.training.data.families"
TRAIN = {
    "arithmetic": f"{PACKAGE}.train.arithmetic:Arithmetic",
    "code_symbols": f"{PACKAGE}.train.code_symbols:CodeSymbols",
    "config_file": f"{PACKAGE}.train.config_file:ConfigFile",
    "contacts": f"{PACKAGE}.train.contacts:Contacts",
    "continuation": f"{PACKAGE}.train.continuation:Continuation",
    "copy_sentence": f"{PACKAGE}.train.copy_sentence:CopySentence",
    "count_word": f"{PACKAGE}.train.count_word:CountWord",
    "csv_table": f"{PACKAGE}.train.csv_table:CsvTable",
    "dialogue": f"{PACKAGE}.train.dialogue:Dialogue",
    "glossary": f"{PACKAGE}.train.glossary:Glossary",
    "headings": f"{PACKAGE}.train.headings:Headings",
    "inventory": f"{PACKAGE}.train.inventory:Inventory",
    "json_lookup": f"{PACKAGE}.train.json_lookup:JsonLookup",
    "key_values": f"{PACKAGE}.train.key_values:KeyValues",
    "log_lines": f"{PACKAGE}.train.log_lines:LogLines",
    "ordering": f"{PACKAGE}.train.ordering:Ordering",
    "text_notes": f"{PACKAGE}.train.text_notes:TextNotes",
}
HELD_OUT = {
    "common_words": f"{PACKAGE}.held_out.common_words:CommonWords",
    "few_shot": f"{PACKAGE}.held_out.few_shot:FewShot",
    "multi_hop": f"{PACKAGE}.held_out.multi_hop:MultiHop",
    "multi_value": f"{PACKAGE}.held_out.multi_value:MultiValue",
    "needle": f"{PACKAGE}.held_out.needle:Needle",
    "passage_retrieval": f"{PACKAGE}.held_out.passage_retrieval:PassageRetrieval",
    "records": f"{PACKAGE}.held_out.records:Records",
    "variable_tracking": f"{PACKAGE}.held_out.variable_tracking:VariableTracking",
}
FAMILIES = TRAIN | HELD_OUT
OF_SPLIT: dict[Split, dict[str, str]] = {"train": TRAIN, "held_out": HELD_OUT}


def load_family(name: str) -> type[Family]:
    """The class of a family in FAMILIES."""
    family: type[Family] = pkgutil.resolve_name(FAMILIES[name])
    return family
