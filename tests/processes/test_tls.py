"""TLS between the parts: certificates are checked by name, and whoever comes plainly is not answered."""

from pathlib import Path

import pytest

from pileus.foundation.http.remote import SocketTransport
from pileus.foundation.tls import Tls
from tests.certificates import Authority
from tests.conftest import Run
from tests.processes.cluster import Cluster, cluster
from tests.processes.conftest import MakeCluster


def test_parts_answer_by_tls_alone_and_believe_the_right_name_alone(small: MakeCluster, run: Run) -> None:
    async def whole() -> None:
        made = small()
        authority, stranger = Authority(made.path), Authority(made.path, "stranger")
        right, wrong = authority.issue("127.0.0.1"), authority.issue("elsewhere.test")
        env = {
            "PILEUS_TLS__AUTHORITY": str(authority.path), "PILEUS_TLS__CERTIFICATE": str(right.certificate),
            "PILEUS_TLS__KEY": str(right.key), "PILEUS_CLOUD__URL": "https://cloud.test",
        }  # fmt: skip
        async with cluster(made) as there:
            there.encrypted(str(authority.path))
            env |= {f"PILEUS_SERVICES__{path.upper()}": url for path, url in there.addresses().items()}
            await there.add("hub", "hub", **env)
            identity = await there.add("identity-1", "identity", **env)
            await there.add("placement-1", "placement", **env)
            admin = await there.admin()  # by TLS; placement asks identity by TLS in turn
            assert (await admin.request("placement", "GET", "/resource_providers")).status == 200

            plain = SocketTransport(f"http://127.0.0.1:{identity.port}/identity")
            with pytest.raises(OSError):
                await plain.send("GET", "/v3", {}, b"", 5.0)
            doubtful = SocketTransport(
                f"https://127.0.0.1:{identity.port}/identity", Tls(authority=str(stranger.path)).client()
            )
            with pytest.raises(OSError, match="certificate verify failed"):
                await doubtful.send("GET", "/v3", {}, b"", 5.0)
            await identity.end()
            other = {"PILEUS_TLS__CERTIFICATE": str(wrong.certificate), "PILEUS_TLS__KEY": str(wrong.key)}
            await there.add("identity-2", "identity", **(env | other))
            with pytest.raises(OSError, match="certificate is not valid for|Hostname mismatch|IP address mismatch"):
                await there.admin()
            for transport in (plain, doubtful):
                await transport.close()

    run(whole)


def test_a_plain_address_is_refused_where_tls_is_configured(tmp_path: Path, small: MakeCluster, run: Run) -> None:
    async def whole() -> None:
        made: Cluster = small()
        issued = Authority(made.path).issue("127.0.0.1")
        async with cluster(made) as there:
            env = {"PILEUS_TLS__CERTIFICATE": str(issued.certificate), "PILEUS_TLS__KEY": str(issued.key)}
            said = await there.complaint("identity", **env)
            assert "is not encrypted, but TLS is configured" in said
            issued.key.chmod(0o644)
            assert f"chmod 600 {issued.key}" in await there.complaint("identity", **env)
            there.config.write_text(there.config.read_text() + "\n[placment]\nx = 1\n")
            assert "Did you mean" in await there.complaint("identity")

    run(whole)
