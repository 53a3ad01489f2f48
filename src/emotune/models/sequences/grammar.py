"""Grammars of answers: which tokens may follow, so that whatever a model prefers, what it writes is legal.

Nothing here knows PyTorch. A grammar is a small automaton over tokens; its states are sets of nodes, since one token
may end a word or go on in it.
"""

# pyright: strict, reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
from __future__ import annotations

from collections.abc import Iterable, Sequence

from emotune.errors import ConfigError

State = frozenset[int]


class Grammar:
    """Sequences over a few items, spelt in tokens, each sequence followed by the end token.

    Args:
        first: the spelling of each item where it comes first.
        further: of each item where it follows another one; empty = there is just one item.
        end: the token that ends a sequence.
        may_be_empty: whether the end may come at once.

    Attributes:
        alphabet: all tokens, the end included.
        place_of: token -> its place in the alphabet.
        fewest: tokens of the shortest sequence, its end included.
    """

    def __init__(
        self,
        first: Sequence[Sequence[int]],
        further: Sequence[Sequence[int]] = (),
        *,
        end: int,
        may_be_empty: bool = False,
    ) -> None:
        self.end = end
        self._children: list[dict[int, int]] = [{}, {}]  # node 0: nothing is written; node 1: before a further item
        self._last: set[int] = {0} if may_be_empty else set()
        for root, spellings in ((0, first), (1, further)):
            for spelling in spellings:
                self._add(root, spelling)
        self.alphabet = tuple(sorted({token for node in self._children for token in node} | {end}))
        self.place_of = {token: place for place, token in enumerate(self.alphabet)}
        self._costs = self._fewest_tokens()

    def _add(self, root: int, spelling: Sequence[int]) -> None:
        if not spelling:
            raise ConfigError("An item of a task is empty; leave it out.")
        node = root
        for token in spelling:
            if token not in self._children[node]:
                self._children[node][token] = len(self._children)
                self._children.append({})
            node = self._children[node][token]
        self._last.add(node)

    def _fewest_tokens(self) -> list[int]:
        """Of every node, the fewest tokens to the end of a sequence, the end token included."""
        costs = [0] * len(self._children)
        for node in reversed(range(len(self._children))):  # children have higher numbers
            further = [1 + costs[child] for child in self._children[node].values()]
            costs[node] = 1 if node in self._last else min(further, default=0)
        return costs

    @property
    def start(self) -> State:
        """The state before anything is written."""
        return frozenset([0])

    @property
    def fewest(self) -> int:
        """Tokens of the shortest sequence, its end included."""
        return self._costs[0]

    def _following(self, state: State) -> Iterable[tuple[int, int]]:
        """Token and next node of every way to go on."""
        for node in state:
            yield from self._children[node].items()
            if node in self._last and node:
                yield from self._children[1].items()

    def legal(self, state: State, left: int) -> list[int]:
        """Tokens that may come next where so many may still be written, the end included."""
        tokens = {token for token, node in self._following(state) if 1 + self._costs[node] <= left}
        if self.may_end(state):
            tokens.add(self.end)
        return sorted(tokens)

    def may_end(self, state: State) -> bool:
        """Tells whether a sequence may end in a state."""
        return not self._last.isdisjoint(state)

    def after(self, state: State, token: int) -> State:
        """The state after a token that is not the end."""
        return frozenset(node for found, node in self._following(state) if found == token)

    def accepts(self, tokens: Sequence[int]) -> bool:
        """Tells whether tokens, the end left out, are a whole legal sequence."""
        state = self.start
        for token in tokens:
            state = self.after(state, token)
        return self.may_end(state)


class FreeText(Grammar):
    """Any tokens of text.

    Args:
        texts: the number of tokens of text, which are the first ones.
        end: the token that ends a sequence.
    """

    def __init__(self, texts: int, *, end: int) -> None:
        super().__init__([], end=end, may_be_empty=True)
        self.texts = texts
        self.alphabet = (*range(texts), end)
        self.place_of = {token: place for place, token in enumerate(self.alphabet)}
        self._tokens = list(self.alphabet)

    def legal(self, state: State, left: int) -> list[int]:
        return self._tokens if left > 1 else [self.end]

    def after(self, state: State, token: int) -> State:
        return state

    def accepts(self, tokens: Sequence[int]) -> bool:
        return all(token < self.texts for token in tokens)


class Writing:
    """A sequence while it is written, of at most so many tokens with its end; it cannot become illegal.

    Args:
        grammar: of the sequence.
        most_tokens: from ``grammar.fewest``.
    """

    def __init__(self, grammar: Grammar, most_tokens: int) -> None:
        self.grammar, self.most_tokens = grammar, most_tokens
        self.tokens: list[int] = []
        self.ended = False
        self._state = grammar.start

    @property
    def allowed(self) -> list[int]:
        """Tokens that may come next; the end alone once the sequence has ended."""
        if self.ended:
            return [self.grammar.end]
        return self.grammar.legal(self._state, self.most_tokens - len(self.tokens))

    def add(self, token: int) -> None:
        """Writes one of the allowed tokens."""
        if token == self.grammar.end:
            self.ended = True
        else:
            self._state = self.grammar.after(self._state, token)
            self.tokens.append(token)
