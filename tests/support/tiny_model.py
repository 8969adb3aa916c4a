"""A model of next to no size whose answers are known in advance: `python tiny_model.py FOLDER` writes it to a folder.

Only building it needs torch and transformers, so everyone may import its words.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

CIRCLE = (
    *(" velo", " marn", " tispe", " olund", " kref", " 🙂", " brasko", " denil", " fup", " gorwin", " hasp"),
    *(" ilmet", " jorba", " lint", " nabru", " pesk", " quor", " rundle", " sovet", " trink", " umbo", " zwee"),
)
"""What the model says, round and round. A token each, but for the emoji: a space and four tokens of a byte."""
ARGUMENTS = '{"location": "Lisbon", "unit": "celsius", "days": 3}'
OTHER_ARGUMENTS = ARGUMENTS.replace("Lisbon", "Bergen")
CALLS: Mapping[str, Sequence[str]] = {
    "\t": (
        *('<tool_call>{"name": "get_weather", "arguments": ', ARGUMENTS, "}</tool_call>"),
        *(
            '\n<tool_call>{"name": "get_weather", "arguments": ',
            OTHER_ARGUMENTS,
            "}\n</tool_call>",
        ),
    ),
    "\v": (' <tool_call>{"name": "get_weather", "arguments": ', '{"location": "Lisbon"}', " }</tool_call>"),
}
"""What it says instead when it may call, a token each; then it ends. By the last token of the prompt."""
END, START = "<|im_end|>", "<|im_start|>"
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "<|im_start|>assistant\n{% if tools and messages[-1].role == 'user' %}"
    "{{ '\t' if 'days' in (tools | tojson) else '\v' }}{% endif %}"
)
"""The last token alone decides on the answer: the end of the line begins the circle, other white space the calls."""
HIDDEN = 64


def answer(tokens: int) -> str:
    """The first so many tokens of its text."""
    pieces = [piece for word in CIRCLE for piece in pieces_of(word)]
    said = b"".join(pieces[number % len(pieces)] for number in range(tokens))
    return said.decode("utf-8", "ignore")


def pieces_of(word: str) -> Sequence[bytes]:
    """The tokens of a word of the circle."""
    return [word.encode()] if word.isascii() else [bytes([byte]) for byte in word.encode()]


def build(folder: Path) -> None:
    """Write model and tokenizer."""
    import torch
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    tokenizer = PreTrainedTokenizerFast(tokenizer_object=trained(), eos_token=END, pad_token=END)
    tokenizer.chat_template = TEMPLATE
    vocabulary: Mapping[str, int] = tokenizer.get_vocab()
    torch.manual_seed(1)
    config = Qwen2Config(
        vocab_size=len(vocabulary),
        hidden_size=HIDDEN,
        intermediate_size=HIDDEN,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=65536,
        tie_word_embeddings=False,
        eos_token_id=vocabulary[END],
        pad_token_id=vocabulary[END],
        bos_token_id=None,
    )
    model = Qwen2ForCausalLM(config)
    with torch.no_grad():
        answer_by_table(model, next_tokens(tokenizer))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def trained() -> Any:
    """A byte-level BPE tokenizer in which each word of the circle became one token."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=1000, initial_alphabet=alphabet, special_tokens=[END, START])
    tokenizer.train_from_iterator([word for word in CIRCLE if word.isascii()], trainer)
    tokenizer.add_tokens([AddedToken(text, normalized=False) for call in CALLS.values() for text in call])
    return tokenizer


def next_tokens(tokenizer: Any) -> Mapping[int, int]:
    """By token: the one that follows."""
    circle = tokens_of(tokenizer, CIRCLE)
    if len(circle) != sum(len(pieces_of(word)) for word in CIRCLE) or len(set(circle)) != len(circle):
        raise ValueError("a word of the circle is not a token of its own")
    follows = dict(pairwise([*tokens_of(tokenizer, ["\n"]), *circle])) | {circle[-1]: circle[0]}
    for begin, call in CALLS.items():
        follows |= dict(pairwise(tokens_of(tokenizer, [begin, *call, END])))
    return follows


def tokens_of(tokenizer: Any, texts: Sequence[str]) -> Sequence[int]:
    """All tokens of some texts."""
    return [token for text in texts for token in tokenizer.encode(text)]


def answer_by_table(model: Any, follows: Mapping[int, int]) -> None:
    """Let the layers compute, but add nothing; and the head know each token's embedding by the token that follows."""
    for layer in model.model.layers:
        layer.self_attn.o_proj.weight.zero_()
        layer.mlp.down_proj.weight.zero_()
    embeddings = model.model.embed_tokens.weight
    embeddings.normal_()
    model.lm_head.weight.zero_()
    for token, following in follows.items():
        model.lm_head.weight[following] += embeddings[token] / embeddings[token].norm()


if __name__ == "__main__":
    build(Path(sys.argv[1]))
