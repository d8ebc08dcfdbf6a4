"""Synthetic speech, measured back with Praat's own pitch and formant trackers."""

import subprocess
import sys
from collections import Counter

import numpy as np
import parselmouth
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from relviz.corpora import PHONES, VOWELS, Sentence, sentence, sentences, spoken, voices, vowel
from relviz.corpora import vowel_corpus as draw
from relviz.corpora.synthetic import CMU, DEVIATIONS, MEANS, PEAK, SENTENCES, _to_cmu

RICH = """The birch canoe slid on the smooth planks near the shore.
A measure of pleasure is hidden in the azure garage.
Thirty thick feathers fell through the open window this Thursday.
Joyful boys enjoy noisy toys in June and July.
Hours of fire tire our poor power engineers.
She hears the bear near the pure square chair.
Where were you when the year began, dear teacher?
A little bottle of metal and a sudden button lie in the garden.
We choose cheese, chalk and cherries at church.
Both thumbs are bathed in warm water each month.
Singing kings bring long, strong strings.
Yes, you use a yellow yoke, you young yeoman.
The vision was unusual: beige rouge on a mirage.
Look at the good cook who took the full book.
He had heard the third bird's word early on earth.
Law, thought, dog, cross, all, talk, caught, cot.
How now, brown cow, out of the town?
My kind guide tried five quiet rides.
Go home, Joe, and show no sorrow.
Eight great players made their way to Spain.
Put the sugar in the wood bureau for tour and cure.
Fear and cheer: the weird period of severe serious spirits.
The cat sat back and clapped; the aunt laughed.
Prism, rhythm, chasm, and wisdom.
Curious creatures secure the mature future.
Better water, butter, city, pretty, party, forty.
An iron lion is a giant violin, quiet and royal.
Oil the coil, boil the soil, annoy the employer.
Video, area, radio, idea, Australia, India, museum.
Actually, usually, gradual, annual, ruin, fluid, suing, cruel.
Button, kitten, mountain, certain, important, sentence.
Hurry, worry, courage, marry, merry, Mary, sorry, horrible, story.
Uncle, ankle, anger, finger, singer.
What, which, why, while, wheat.
Huge, human, few, view, cute, music, beauty.
Bath, path, father, calm, palm, spa.
Hello, again, about, sofa, banana, the end.
Zebras doze, foxes box, wishes, judges, watches, roses.
Play, plow, bow, toe, tie, toy, through, true, tea, tar, tore, tier, tear, tour, tyre.
One, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve, hundred, thousand, zero.
Loch, Bach, uh-oh, genre, restaurant, déjà vu, fiancé, croissant.
The 1995 report cost 3.50 dollars at 10 p.m. on the 2nd of May.""".splitlines()


def pitch(wave: NDArray, times: NDArray) -> NDArray:
    track = parselmouth.Sound(wave.astype(float), 16000).to_pitch(0.01, 60, 500)
    return np.array([track.get_value_at_time(time) for time in times])


def formants(wave: NDArray, time: float) -> tuple[float, float]:
    track = parselmouth.Sound(wave.astype(float), 16000).to_formant_burg(
        max_number_of_formants=8, maximum_formant=8000
    )
    numbers = [n for n in range(1, 9) if track.get_bandwidth_at_time(n, time) < 500]
    first, second, *_ = (track.get_value_at_time(number, time) for number in numbers)
    return first, second


# ------------------------------------------------------------------------------------- vowels


@pytest.mark.slow
@settings(max_examples=40)
@given(
    f0=st.floats(80, 300),
    f1=st.floats(300, 900),
    gap=st.floats(300, 1500),
    duration=st.floats(0.2, 0.6),
)
def test_f0_is_what_was_asked(f0: float, f1: float, gap: float, duration: float) -> None:
    wave = vowel(f0, (f1, f1 + gap, f1 + gap + 800), duration=duration)
    measured = pitch(wave, np.linspace(0.06, duration - 0.1, 5))
    assert measured == pytest.approx(f0, rel=0.01)


@pytest.mark.slow
@settings(max_examples=40)
@given(f0=st.floats(80, 140), f1=st.floats(350, 850), gap=st.floats(400, 1500))
def test_formants_are_near_what_was_asked(f0: float, f1: float, gap: float) -> None:
    # a tracker sees harmonics, every f0: F1 can be told no better than to a part of that
    higher = (f1 + gap + 900, 4200, 5000, 5800, 6600, 7400)
    wave = vowel(f0, (f1, f1 + gap, *higher))
    first, second = formants(wave, 0.2)
    assert first == pytest.approx(f1, abs=f0 / 2)
    assert second == pytest.approx(f1 + gap, abs=f0 / 2)


@given(
    duration=st.floats(0.1, 1),
    sample_rate=st.sampled_from([8000, 16000, 22050, 44100]),
)
@settings(max_examples=20)
def test_vowel_shape(duration: float, sample_rate: int) -> None:
    wave = vowel(120, (500, 1500), duration=duration, sample_rate=sample_rate)
    assert wave.dtype == np.float32
    assert abs(len(wave) - duration * sample_rate) <= 1
    assert np.abs(wave).max() == pytest.approx(PEAK)
    edge = round(0.002 * sample_rate)
    assert np.abs(wave[:edge]).max() < 0.3 * PEAK
    assert np.abs(wave[-edge:]).max() < 0.3 * PEAK


def test_vowels_repeat_and_are_yours_to_change() -> None:
    first = vowel(120, (500, 1500, 2500))
    second = vowel(120, [500, 1500, 2500])
    assert np.array_equal(first, second)
    first[:] = 0
    assert np.array_equal(second, vowel(120, (500, 1500, 2500)))
    command = (
        "from relviz.corpora import vowel; import sys;"
        "sys.stdout.buffer.write(vowel(120, (500, 1500, 2500)).tobytes())"
    )
    assert subprocess.check_output([sys.executable, "-c", command]) == second.tobytes()


def test_wider_bandwidths_flatten() -> None:
    narrow, wide = (vowel(100, (700, 1200, 2500), [b] * 3)[2000:4048] for b in (40, 400))
    assert np.ptp(np.log(np.abs(np.fft.rfft(narrow)) + 1e-3)[:200]) > np.ptp(
        np.log(np.abs(np.fft.rfft(wide)) + 1e-3)[:200]
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"f0": 0}, "f0 is 0 Hz: give a voice between 20 and 1000 Hz."),
        ({"f0": float("nan")}, "f0 is nan Hz: give a voice between 20 and 1000 Hz."),
        ({"duration": 0.01}, "duration is 0.01 s: give 0.1 to 60 seconds."),
        (
            {"formants": (500, 400)},
            "formants are (500.0, 400.0): give at least one, rising, between 0 and half of the "
            "sample rate (8000 Hz).",
        ),
        (
            {"formants": ()},
            "formants are (): give at least one, rising, between 0 and half of the sample rate "
            "(8000 Hz).",
        ),
        (
            {"formants": (500, 9000)},
            "formants are (500.0, 9000.0): give at least one, rising, between 0 and half of the "
            "sample rate (8000 Hz).",
        ),
        (
            {"bandwidths": (50,)},
            "bandwidths are (50.0,): give one above 0 Hz for each of the 2 formants.",
        ),
        (
            {"bandwidths": (50, 0)},
            "bandwidths are (50.0, 0.0): give one above 0 Hz for each of the 2 formants.",
        ),
    ],
)
def test_vowels_that_cannot_be(arguments: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011
        vowel(**({"f0": 120, "formants": (500, 1500)} | arguments))  # type: ignore[arg-type]
    assert str(refused.value) == sentence


# ------------------------------------------------------------------------------------- corpus


def test_the_corpus_has_the_shape_of_the_recordings() -> None:
    tokens = draw()
    assert len(tokens) == 465
    assert Counter(token.sex for token in tokens) == {"M": 225, "F": 240}
    assert len({token.name for token in tokens}) == 465
    everything = draw(VOWELS)
    assert len(everything) == 93 * 12
    assert set(tokens) < set(everything)
    assert set(MEANS["M"]) == set(MEANS["F"]) == set(VOWELS)


@pytest.mark.parametrize("name", VOWELS)
@pytest.mark.parametrize("sex", ["M", "F"])
def test_the_corpus_spreads_as_published(name: str, sex: str) -> None:
    tokens = draw((name,), men=400, women=400)
    drawn = np.array([(t.f0, t.f1, t.f2, t.f3) for t in tokens if t.sex == sex])
    assert drawn.mean(axis=0) == pytest.approx(MEANS[sex][name], rel=0.03)
    assert drawn.std(axis=0, ddof=1) == pytest.approx(DEVIATIONS[sex][name], rel=0.2)


def test_a_talker_keeps_a_voice() -> None:
    tokens = {token.name: token for token in draw(("ah", "iy"))}
    pairs = np.array([(t.f0, tokens[f"{t.talker}iy"].f0) for t in draw(("ah",), women=0)])
    assert np.corrcoef(pairs.T)[0, 1] > 0.7


@pytest.mark.slow
@settings(max_examples=25)
@given(
    names=st.lists(st.sampled_from(VOWELS), min_size=1, max_size=4, unique=True),
    men=st.integers(0, 5),
    women=st.integers(0, 5),
    seed=st.integers(0, 2**32),
)
def test_a_token_depends_on_nothing_else(names: list[str], men: int, women: int, seed: int) -> None:
    tokens = draw(names, men, women, seed)
    assert len(tokens) == len(names) * (men + women)
    assert set(tokens) <= set(draw(VOWELS, 5, 5, seed))
    for token in tokens:
        assert 60 < token.f0 < token.f1 < token.f2 < token.f3 < 4500
        assert 0 < token.start < token.steady < token.end
        assert token.path is None


@pytest.mark.slow
def test_tokens_sound_as_they_say() -> None:
    for token in draw(VOWELS, men=2, women=2):
        wave = token.wave()
        assert wave.dtype == np.float32
        assert 0.3 <= len(wave) / 16000 <= 0.65
        assert not wave[: round(token.start * 16000) - 1].any()
        assert not wave[round(token.end * 16000) + 1 :].any()
        assert np.array_equal(wave, token.wave())
        assert pitch(wave, np.array([token.steady])) == pytest.approx(token.f0, rel=0.01)
        first, second = formants(wave, token.steady)
        assert first == pytest.approx(token.f1, abs=token.f0 / 2)
        assert second == pytest.approx(token.f2, abs=token.f0 / 2)


# ---------------------------------------------------------------------------------- sentences


def check(spoken: Sentence) -> None:
    """What holds of every sentence."""
    seconds = len(spoken.wave) / 16000
    assert spoken.wave.dtype == np.float32
    assert np.abs(spoken.wave).max() == pytest.approx(PEAK)
    starts = [start for start, _, _ in spoken.phones]
    ends = [end for _, end, _ in spoken.phones]
    assert starts[0] == 0
    assert starts[1:] == pytest.approx(ends[:-1])
    assert ends[-1] == pytest.approx(seconds, abs=2e-3)
    assert all(start < end for start, end, _ in spoken.phones)
    assert {phone for _, _, phone in spoken.phones} <= set(PHONES)
    assert all(
        first[1] <= second[0] + 1e-9
        for first, second in zip(spoken.words, spoken.words[1:], strict=False)
    )


def test_phones_are_the_39_of_cmu_and_silence() -> None:
    assert len(set(PHONES)) == len(PHONES) == 40
    assert {phone for phones in CMU.values() for phone in phones} == set(PHONES)


@pytest.mark.slow
@pytest.mark.parametrize("text", RICH)
def test_every_label_has_a_class(text: str) -> None:
    check(sentence(text))


@pytest.mark.parametrize("voice", voices())
def test_every_voice_speaks(voice: str) -> None:
    spoken = sentence("A quick brown fox.", voice)
    check(spoken)
    voiced = pitch(spoken.wave, np.arange(0.05, len(spoken.wave) / 16000, 0.01))
    assert (np.nanmedian(voiced) > 140) == (voices()[voice] == "F")


def test_british_english() -> None:
    check(sentence("The idle cure for a hot boat is there.", "Male1", "English (Great Britain)"))


def test_phones_and_words_of_a_sentence() -> None:
    spoken = sentence("Dogs' beds, please: shoes.")
    assert [phone for _, _, phone in spoken.phones if phone != "SIL"] == (
        ["D", "AA", "G", "Z", "B", "EH", "D", "Z", "P", "L", "IY", "Z", "SH", "UW", "Z"]
    )
    assert [word for _, _, word in spoken.words] == ["dogs'", "beds", "please", "shoes"]
    assert spoken.text == "Dogs' beds, please: shoes."
    # the pauses after comma and colon are silences, word gaps are not
    silences = [index for index, (_, _, phone) in enumerate(spoken.phones) if phone == "SIL"]
    inner = [i for i in silences if 1 < i < len(spoken.phones) - 1]
    assert [spoken.phones[i - 1][2] + spoken.phones[i + 1][2] for i in inner] == ["ZP", "ZSH"]


def test_phones_are_where_they_say() -> None:
    spoken = sentence("She sees a sauna, she says.", "Male1")

    def level(start: float, end: float, low: float, high: float) -> float:
        part = spoken.wave[round(start * 16000) : round(end * 16000)]
        power = np.abs(np.fft.rfft(part * np.hanning(len(part)))) ** 2
        hertz = np.fft.rfftfreq(len(part), 1 / 16000)
        return float(power[(hertz >= low) & (hertz < high)].sum() / power.sum())

    hiss = [level(a, b, 2500, 8000) for a, b, phone in spoken.phones if phone in ("S", "SH")]
    vowels = [level(a, b, 2500, 8000) for a, b, phone in spoken.phones if phone in ("AO", "AH")]
    assert min(hiss) > 0.7
    assert max(vowels) < 0.3


def test_a_sentence_repeats_and_is_yours_to_change() -> None:
    first, second = sentence("Twice the same."), sentence("Twice the same.")
    assert np.array_equal(first.wave, second.wave)
    assert first.phones == second.phones
    first.wave[:] = 0
    assert np.abs(sentence("Twice the same.").wave).max() == pytest.approx(PEAK)


@pytest.mark.slow
def test_sentences_hold_every_phone() -> None:
    spoken = sentences()
    assert len(spoken) == len(SENTENCES) * 4
    assert Counter(voices()[s.voice] for s in spoken) == {"F": 12, "M": 12}
    assert {phone for s in spoken for _, _, phone in s.phones} == set(PHONES)
    for s in spoken:
        check(s)


@pytest.mark.parametrize(
    ("arguments", "refusal"),
    [
        ((" ?!",), "The text ' ?!' has nothing to speak: give words."),
        (
            ("Hello.", "Bert"),
            "There is no voice 'Bert': choose from Female1, Female2, Female3, Female4, Female5, "
            "Male1, Male2, Male3, Male4, Male5, Male6, Male7.",
        ),
        (
            ("Hello.", "Male1", "Klingon"),
            "Praat's synthesiser has no language 'Klingon': take 'English (America)' or 'English "
            "(Great Britain)'.",
        ),
    ],
)
def test_sentences_that_cannot_be(arguments: tuple[str, ...], refusal: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011
        sentence(*arguments)
    assert str(refused.value) == refusal


def test_an_unknown_label_is_refused_by_name() -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011
        _to_cmu([(0.0, 0.1, "y")], "Tu dis")
    assert str(refused.value) == (
        "The phone 'y' in 'Tu dis' has no CMU class: use an English text and voice, or add it to "
        "relviz.corpora.synthetic.CMU."
    )


def test_importing_is_light() -> None:
    command = (
        "import relviz.corpora, sys;"
        "print([m for m in ('librosa', 'parselmouth', 'matplotlib', 'pandas') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", command], text=True) == "[]\n"


def test_chosen_voices_and_texts() -> None:
    (made,) = spoken(("Male3",), ("Hello.",))
    assert (made.name, made.speaker, made.text) == ("Male3-0-0000", "Male3", "Hello.")
