"""`AudioFolder` and `decode_audio`: encodings, rates and lengths, and what is refused in which words."""

import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from scipy.io import wavfile

from tf_transfer.data import AudioFolder, BadRecording, as_dataset, decode_audio, fingerprint, hold_out

RATE = 8000


def tone(hertz, seconds=0.5, rate=RATE):
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def wav(samples, rate=RATE):
    file = io.BytesIO()
    wavfile.write(file, rate, samples)
    return file.getvalue()


def pcm(wave):
    return np.round(wave * 32767).astype(np.int16)


@pytest.fixture
def sounds(tmp_path):
    """Returns a folder with 3 high and 5 low tones of 16-bit PCM."""
    folder = tmp_path / "sounds"
    for name, count, hertz in (("high", 3, 2000), ("low", 5, 200)):
        (folder / name).mkdir(parents=True)
        for index in range(count):
            (folder / name / f"{index}.wav").write_bytes(wav(pcm(tone(hertz + 10 * index))))
    return folder


def load(folder, **options):
    return AudioFolder(folder, RATE, 0.25, **options)


def test_batches_are_the_waveforms_with_their_labels(sounds):
    recordings = load(sounds)
    assert recordings.class_names == ["high", "low"]
    assert repr(recordings) == f"<AudioFolder {sounds}: 8 recordings, 2 classes>"
    waves, labels = (np.concatenate(part) for part in zip(*recordings.dataset(3).as_numpy_iterator(), strict=True))
    assert waves.dtype == np.float32
    assert waves.shape == (8, 2000)
    assert labels.tolist() == [0] * 3 + [1] * 5
    np.testing.assert_allclose(waves[1], tone(2010)[:2000], atol=1e-4)
    np.testing.assert_array_equal(recordings.examples(2), waves[[0, -1]])


def test_shuffled_orders_follow_the_seed_and_the_fingerprint_does_not(sounds):
    recordings = load(sounds)

    def order(seed):
        ((waves, _),) = recordings.dataset(8, shuffle=True, seed=seed).as_numpy_iterator()
        return waves[:, 3].tolist()

    assert order(1) == order(1) != order(2)
    assert fingerprint(recordings.dataset(3)) == fingerprint(recordings.dataset(8, shuffle=True, seed=0))


def test_other_streams_take_the_folder(sounds):
    recordings = load(sounds)
    train, held_out = hold_out(recordings, 0.3)
    assert type(held_out) is AudioFolder
    assert (np.bincount(train.labels).tolist(), np.bincount(held_out.labels).tolist()) == ([2, 3], [1, 2])
    dataset = as_dataset(recordings, batch_size=4, input_shape=(2000,), num_classes=2)
    assert dataset.element_spec[0] == tf.TensorSpec((None, 2000), tf.float32)
    with pytest.raises(ValueError, match=r"\(batch, 4000\).*Received: shape \(None, 2000\)"):
        as_dataset(recordings, input_shape=(4000,))
    assert recordings.resampled(4000, 0.5).example_shape == (2000,)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (np.array([0, 128, 255], np.uint8), [-1.0, 0.0, 127 / 128]),
        (np.array([-(2**15), 0, 2**14], np.int16), [-1.0, 0.0, 0.5]),
        (np.array([-(2**31), 0, 2**30], np.int32), [-1.0, 0.0, 0.5]),
        (np.array([-1.0, 0.25, 0.5], np.float32), [-1.0, 0.25, 0.5]),
        (np.array([-1.0, 0.25, 0.5], np.float64), [-1.0, 0.25, 0.5]),
        (np.array([[0, 2**14], [2**14, -(2**14)], [2**14, 2**14]], np.int16), [0.25, 0.0, 0.5]),
    ],
    ids=["8 bits", "16 bits", "32 bits", "float", "double", "stereo"],
)
def test_encodings(samples, expected):
    np.testing.assert_allclose(decode_audio(wav(samples), RATE), expected, atol=1e-7)


def test_24_bits_and_chunks_that_nobody_needs(recwarn):
    values = [-(2**23), 0, 2**22, 1]
    data = b"".join(struct.pack("<i", value)[:3] for value in values)
    parts = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, RATE, 3 * RATE, 3, 24)
    parts += b"odd!" + struct.pack("<I", 3) + b"xyz\0" + b"data" + struct.pack("<I", len(data)) + data
    contents = b"RIFF" + struct.pack("<I", 4 + len(parts)) + b"WAVE" + parts + b"trailing text"
    np.testing.assert_allclose(decode_audio(contents, RATE), [-1.0, 0.0, 0.5, 2**-23], atol=1e-9)
    assert not recwarn.list


@pytest.mark.parametrize("rate", [16000, 44100, 11025])
def test_another_rate_keeps_the_tone_and_loses_what_would_fold_back(rate):
    wave = decode_audio(wav(pcm(tone(440, rate=rate)), rate), RATE)
    assert len(wave) == 4000
    np.testing.assert_allclose(wave[400:3600], tone(440)[400:3600], atol=5e-3)
    if rate > RATE:
        folding = decode_audio(wav(pcm(tone(5000, rate=rate)), rate), RATE)
        assert abs(folding[400:3600]).max() < 0.01


@pytest.mark.parametrize("rate", [RATE, 22050])
def test_length_is_cut_and_filled(rate):
    contents = wav(pcm(tone(440, rate=rate)), rate)
    whole = decode_audio(contents, RATE)
    for num_samples in (1000, 3999):
        np.testing.assert_array_equal(decode_audio(contents, RATE, num_samples), whole[:num_samples])
    filled = decode_audio(contents, RATE, 5000)
    np.testing.assert_array_equal(filled, [*whole, *[0.0] * 1000])


def test_a_resampled_end_does_not_depend_on_how_long_the_recording_goes_on():
    short, long = (wav(pcm(tone(300, seconds, 44100)), 44100) for seconds in (0.5, 30.0))
    np.testing.assert_allclose(decode_audio(short, RATE, 2000), decode_audio(long, RATE, 2000), atol=1e-7)


BAD = {
    "empty": (b"", r"is empty \(0 bytes\)"),
    "text": (b"this is no sound at all, only text", "is no WAV file: convert it"),
    "cut": (wav(pcm(tone(100)))[:5000], r"is truncated \(4956 of 8000 bytes of 'data'\)"),
    "header": (wav(pcm(tone(100)))[:30], "is truncated"),
    "no data": (wav(pcm(tone(100)))[:36], r"is truncated or corrupt \(it has no 'data'\)"),
    "silence of no length": (wav(np.zeros(0, np.int16)), "has no samples"),
    "not finite": (wav(np.array([0.0, np.nan], np.float32)), "has values that are not finite"),
    "rate": (wav(pcm(tone(100)), rate=7), "says that it has 7 samples a second"),
    "adpcm": (wav(pcm(tone(100))).replace(b"\x10\0\0\0\1\0", b"\x10\0\0\0\2\0", 1), "of an encoding that is not read"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_recording_is_named_with_its_reason_or_left_out(sounds, kind):
    contents, reason = BAD[kind]
    (sounds / "low" / "bad.wav").write_bytes(contents)
    with pytest.raises(ValueError, match=rf"1 of 9 recordings in .* cannot be used: \n  .*bad\.wav: .*{reason}"):
        load(sounds)
    with pytest.warns(UserWarning, match="Left out 1 of 9 recordings"):
        recordings = load(sounds, skip_bad=True)
    assert [(type(bad), bad.file) for bad in recordings.bad] == [(BadRecording, str(sounds / "low" / "bad.wav"))]
    assert len(recordings) == 8


def test_every_damaged_byte_is_an_error_in_words_or_a_waveform():
    contents, rng = bytearray(wav(pcm(tone(100, 0.01)))), np.random.default_rng(0)
    for _ in range(300):
        damaged = contents.copy()
        for place in rng.integers(0, 60, 3):
            damaged[place] = rng.integers(256)
        try:
            wave = decode_audio(bytes(damaged), RATE, 100)
        except ValueError as error:
            assert str(error).startswith("The recording ")
        else:
            assert wave.shape == (100,)
            assert np.isfinite(wave).all()


def test_recording_of_a_format_that_is_not_read_is_no_silent_omission(sounds):
    (sounds / "low" / "song.mp3").write_bytes(b"ID3")
    with pytest.raises(ValueError, match=r"song\.mp3: is no WAV file: convert it, for instance with `ffmpeg"):
        load(sounds)


def test_file_that_changes_later_is_named(sounds):
    recordings = load(sounds)
    (sounds / "high" / "1.wav").write_bytes(b"gone")
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"1\.wav has changed. The recording is no WAV file"):
        list(recordings.dataset())


@pytest.mark.parametrize(
    ("options", "words"), [((100,), "`sample_rate`"), ((RATE, 0), "`seconds`"), ((RATE, 1e-9), "`s")]
)
def test_wrong_lengths_are_refused(sounds, options, words):
    with pytest.raises(ValueError, match=words):
        AudioFolder(sounds, *options)


def test_folder_without_recordings_says_what_was_expected(tmp_path):
    for name in ("class", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "photo.jpg").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"class has no recordings \(\.wav, \.wave\)\. Remove it or fill it"):
        load(tmp_path)
