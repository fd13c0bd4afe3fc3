"""The client, against a server in a process of its own that speaks gRPC and REST; and servers at fault."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
from serving_models import encode

from tf_transfer import serving

SERVER = Path(__file__).with_name("model_server.py")


class Running:
    """A server in a process of its own: `addresses` by protocol, and `lines`, what it printed."""

    def __init__(self, process, ports):
        self.process = process
        self.addresses = {"grpc": f"127.0.0.1:{ports[0]}", "rest": f"http://127.0.0.1:{ports[1]}"}
        self.ports, self.lines = ports, []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append(line.split())

    @property
    def asked(self):
        return [line for line in self.lines if line[0] == "predict"]

    def make(self, fault, value):
        """Makes the server faulty from here on, and forgets what it was asked before."""
        self.lines.clear()
        self.process.stdin.write(f"{fault} {value}\n")
        self.process.stdin.flush()
        wait_for(lambda: ["fault", fault] in self.lines)
        self.lines.clear()


def wait_for(condition):
    deadline = time.monotonic() + 30
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert condition()


@contextlib.contextmanager
def running(path, grpc_port=0, rest_port=0):
    environment = {**os.environ, "no_proxy": "127.0.0.1"}
    command = [sys.executable, "-W", "ignore", SERVER, path, "colors"]
    command += ["--grpc-port", str(grpc_port), "--rest-port", str(rest_port)]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as process:
        try:
            words = process.stdout.readline().split()
            assert words[:1] == ["ready"], "the server did not start"
            yield Running(process, words[1:])
        finally:
            process.kill()


@pytest.fixture(scope="module")
def folder(exported):
    return os.path.dirname(exported)


@pytest.fixture(scope="module")
def server(folder):
    with running(folder) as started:
        yield started


@pytest.fixture(params=["grpc", "rest"])
def protocol(request):
    return request.param


@pytest.fixture
def client(server, protocol):
    with serving.Client(server.addresses[protocol], "colors", timeout=60) as client:
        yield client


def assert_equal(found, expected):
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name].dtype.kind == value.dtype.kind
        if value.dtype.kind == "f":
            np.testing.assert_allclose(found[name], value, atol=1e-6)
        else:
            np.testing.assert_array_equal(found[name], value)


def test_predictions_are_those_of_the_loaded_model_in_requests_of_a_size(server, client, exported, images):
    client.batch_size, before = 16, len(server.asked)
    assert_equal(client.predict(images), serving.load(exported).predict(images))
    wait_for(lambda: len(server.asked) == before + 3)
    # 40 images in requests of 16.
    assert server.asked[before:] == [["predict", "serving_default", size] for size in ("16", "16", "8")]


def test_files_and_their_contents_are_classified(client, exported, images, tmp_path):
    contents = [encode(image, "PNG") for image in images[:5]]
    expected = serving.load(exported).predict_bytes(contents)
    assert_equal(client.classify_images(contents), expected)
    (tmp_path / "0.png").write_bytes(contents[0])
    mixed = client.classify_images([tmp_path / "0.png", contents[1]])
    assert_equal(mixed, {name: value[:2] for name, value in expected.items()})
    assert client.classify_images(str(tmp_path / "0.png"))["labels"].shape == (1,)


def test_any_signature_can_be_asked(client, exported, images):
    contents = np.array([encode(image, "PNG") for image in images[:3]], dtype=object)
    expected = serving.load(exported).predict(images[:3])
    assert_equal(client.predict({"image_bytes": contents}, "serving_bytes"), expected)


def test_metadata_is_what_the_export_recorded(client, exported):
    found, recorded = client.metadata(), serving.load(exported).metadata["signatures"]
    assert found["model"] == "colors" and found["version"] == 1
    assert set(found["signatures"]) == set(recorded)
    for name, signature in found["signatures"].items():
        assert signature["inputs"] == recorded[name]["inputs"]
        assert signature["outputs"] == recorded[name]["outputs"]
        assert signature["method"] == recorded[name]["method"]


def test_rows_and_columns_say_the_same(server, client, images):
    address = f"{server.addresses['rest']}/v1/models/colors:predict"
    rows = httpx.post(address, json={"instances": images[:2].tolist()}, timeout=60).json()["predictions"]
    columns = httpx.post(address, json={"inputs": {"image": images[:2].tolist()}}, timeout=60).json()["outputs"]
    found = client.predict(images[:2])
    assert [row["labels"] for row in rows] == columns["labels"] == found["labels"].tolist()
    np.testing.assert_allclose([row["scores"] for row in rows], found["scores"], atol=1e-6)


def test_inputs_that_do_not_fit_are_refused_with_both_shapes_and_nothing_is_sent(server, client, images):
    client.metadata()
    before = len(server.asked)
    for inputs, signature, message in (
        (images[:, :5], None, r"\(None, 24, 24, 3\).*Received: \(40, 5, 24, 3\)"),
        (images[0], None, r"Received: \(24, 24, 3\)"),
        (["a"], None, "must be numbers of type float32"),
        ([1, 2], "serving_bytes", "must be strings or bytes"),
        ({"pixels": images}, None, r"keys \['image'\]. Received: \['pixels'\]"),
        (images[:0], None, "at least 1"),
        (images, "serving_byte", r"no|without a signature 'serving_byte'; it has .*Did you mean 'serving_bytes'"),
    ):
        with pytest.raises(ValueError, match=message):
            client.predict(inputs, signature)
    assert len(server.asked) == before


def test_what_the_server_refuses_is_asked_once(server, client, images):
    contents = [encode(images[0], "PNG"), b"no image", b"", encode(images[1], "PNG")]
    before = len(server.asked)
    with pytest.raises(ValueError, match=r"2 of 4 images cannot be decoded: number 1, number 2\."):
        client.classify_images(contents)
    time.sleep(0.2)
    assert len(server.asked) == before + 1


def test_a_wrong_name_and_a_wrong_version(server, protocol, images):
    address = server.addresses[protocol]
    with (
        serving.Client(address, "colours") as client,
        pytest.raises(ValueError, match=r"does not serve 'colours'.*MODEL_NAME.*Servable not found"),
    ):
        client.predict(images)
    with (
        serving.Client(address, "colors", version=7) as client,
        pytest.raises(ValueError, match=r"does not serve version 7 of 'colors'. It serves the versions \[1\]\."),
    ):
        client.metadata()
    with serving.Client(address, "colors", version=1, timeout=60) as client:
        assert client.predict(images[:1])["scores"].shape == (1, 3)


def test_a_busy_server_is_asked_again(server, client, images):
    client.metadata()
    server.make("busy", 3)
    client.retries = 1
    with pytest.raises(ConnectionError, match=r"queue .* is full"):
        client.predict(images[:4])
    assert client.predict(images[:4])["scores"].shape == (4, 3)
    wait_for(lambda: len(server.asked) == 4)


def test_a_slow_server_is_given_up_and_not_asked_again(server, client, images):
    client.metadata()
    server.make("slow", 3)
    client.timeout, started = 0.5, time.monotonic()
    with pytest.raises(TimeoutError, match=r"gave no answer to examples 0 to 3 .* within 0.5 seconds"):
        client.predict(images[:4])
    assert time.monotonic() - started < 2.5
    server.make("slow", 0)
    client.timeout = 60
    client.predict(images[:1])
    wait_for(lambda: server.asked == [["predict", "serving_default", "1"]])


@pytest.mark.slow
def test_servers_that_die_in_the_middle_and_come_back(folder, images):
    with running(folder) as server:
        ports, addresses = server.ports, server.addresses
        kill_in_the_middle(server, addresses["grpc"], images)
    with waiting(addresses["rest"], addresses["grpc"], images) as found, running(folder, *ports) as server:
        found.join()
        kill_in_the_middle(server, addresses["rest"], images)
    with waiting(addresses["grpc"], addresses["rest"], images) as found, running(folder, *ports):
        found.join()


def kill_in_the_middle(server, address, images):
    with serving.Client(address, "colors", timeout=60, batch_size=10) as client:
        client.predict(images[:1])
        server.make("die", 2)
        with pytest.raises(ConnectionError, match="gave no answer to examples 10 to 19"):
            client.predict(images)
    assert server.process.wait(30) == 1


class Waiting:
    """Two clients in threads, one that waits for a server and one that retries; `join` says that both got there."""

    def __init__(self, first, second, images):
        self.outcome, self.threads = {}, []
        self._start(first, "ready", lambda client: client.wait_until_ready(200))
        self._start(second, "scores", lambda client: client.predict(images)["scores"].shape)

    def _start(self, address, name, ask):
        def run():
            with serving.Client(address, "colors", timeout=200, retries=10_000) as client:
                self.outcome[name] = ask(client)

        self.threads.append(threading.Thread(target=run, daemon=True))
        self.threads[-1].start()

    def join(self):
        for thread in self.threads:
            thread.join(200)
        assert self.outcome == {"ready": 1, "scores": (40, 3)}


@contextlib.contextmanager
def waiting(first, second, images):
    found = Waiting(first, second, images)
    time.sleep(0.5)
    assert found.outcome == {}
    yield found


def test_nobody_listens(protocol, images):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        address = f"127.0.0.1:{port}" if protocol == "grpc" else f"http://127.0.0.1:{port}"
        with serving.Client(address, "colors", retries=1) as client:
            with pytest.raises(ConnectionError, match=rf"The server at .*{port} gave no answer"):
                client.predict(images)
            with pytest.raises(TimeoutError, match=r"not ready after 0.5 seconds. Seen last: .*refused"):
                client.wait_until_ready(0.5)


def test_somebody_listens_and_says_nothing(protocol, images):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        address = f"127.0.0.1:{port}" if protocol == "grpc" else f"http://127.0.0.1:{port}"
        started = time.monotonic()
        with (
            serving.Client(address, "colors", timeout=1) as client,
            pytest.raises((TimeoutError, ConnectionError), match="gave no answer"),
        ):
            client.predict(images)
        assert time.monotonic() - started < 5


def test_something_else_answers(images):
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "http.server", "--bind", "127.0.0.1", "0"], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            port = process.stdout.readline().split(" port ")[1].split()[0]
            with (
                serving.Client(f"http://127.0.0.1:{port}", "colors") as client,
                pytest.raises(RuntimeError, match="status 404, and no answer of TensorFlow Serving"),
            ):
                client.predict(images)
        finally:
            process.kill()


def test_arguments_that_cannot_be():
    for arguments, options, message in (
        (("localhost",), {}, '"host:8500" for gRPC'),
        (("ftp://localhost:8501",), {}, "must begin with http"),
        (("localhost:abc",), {}, "cannot be read: Port"),
        (("localhost:99999",), {}, "cannot be read: Port out of range"),
        (("http://[::1",), {}, "cannot be read: Invalid IPv6"),
        (("http://:8501",), {}, "host and a port"),
        (("localhost:",), {}, "host and a port"),
        (("my host:8500",), {}, "without spaces"),
        (("localhost:8500", "a/b"), {}, "without a path"),
        (("localhost:8500",), {"batch_size": 0}, "batch_size"),
        (("localhost:8500",), {"timeout": 0}, "timeout"),
        (("localhost:8500",), {"retries": -1}, "retries"),
        (("localhost:8500",), {"version": "latest"}, "version"),
        (("http://localhost:8501",), {"credentials": object()}, "are for gRPC"),
    ):
        with pytest.raises(ValueError, match=message):
            serving.Client(*arguments, **options)


@pytest.mark.parametrize(("module", "address"), [("httpx", "http://h:1"), ("tensorflow_serving", "h:1")])
def test_a_missing_package_is_named_with_the_way_to_get_it(module, address, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=r'pip install "tf-transfer\[serving\]"'):
        serving.Client(address)
