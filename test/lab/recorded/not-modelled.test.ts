import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Recording } from "../../../src/core/recording.js";
import { checkWorld } from "../../../src/lab/check.js";
import { nativeTables } from "../../../src/lab/recorded/not-modelled.js";
import { loadWorld } from "../../../src/lab/world.js";
import { viewOf } from "../../../src/view/trace-view.js";
import { topology } from "../../kube/texts.js";
import { type DumpFile, json, link, loopback, trace } from "./dumps.js";

const shop: readonly DumpFile[] = topology("shop");

const firewall = `table inet fw {
	chain input {
		type filter hook input priority filter; policy drop;
		tcp dport 22 accept
	}
	chain forward {
		type filter hook forward priority filter; policy accept;
		tcp dport 5432 drop
	}
}
`;

function unknown(recording: Recording): readonly [exit: number, because: string] {
  const { verdict } = viewOf(recording);
  return [verdict.exit, verdict.because];
}

function checkTexts(files: readonly DumpFile[]): readonly string[] {
  return checkWorld(loadWorld(files, "w")).notes.map(({ what, text }) => `${what}  ${text}`);
}

describe("rules of nft's own in a node's dump", () => {
  const files = [...shop, { file: "nodes/worker-1/nft.txt", text: firewall }];

  it("make the answer UNKNOWN where a packet passes a hook of theirs, and are named", () => {
    expect(unknown(trace(files, "shop/api-0", "shop/db:5432"))).toEqual([
      3,
      "nft table inet fw of worker-1 (nodes/worker-1/nft.txt:1) has chains at forward, and rules of nft's own are not modelled",
    ]);
  });

  it("say nothing of packets that go by other nodes", () => {
    expect(unknown(trace(files, "shop/api-1", "shop/db:5432"))[0]).toBe(0);
  });

  it("say nothing of packets that do not come to a hook of theirs", () => {
    const local = firewall.replace(/\tchain forward[^}]*}\n/, "");
    const only = [...shop, { file: "worker-2.nft.txt", text: local }];
    expect(unknown(trace(only, "shop/api-0", "shop/db:5432"))[0]).toBe(0);
    expect(unknown(trace(only, "shop/api-0", "worker-2:22"))[0]).toBe(3);
  });

  it("are listed by check", () => {
    expect(checkTexts(files)).toContain(
      "unmodelled  worker-1: nft table inet fw (input, forward); packets that pass it end UNKNOWN",
    );
  });

  it("are not what iptables-nft keeps its own rules in, when its save is there", () => {
    const input = {
      file: "nft.txt",
      text: "table ip filter {\n\tchain FORWARD {\n\t\ttype filter hook forward priority filter; policy accept;\n\t}\n}\n",
    };
    expect(nativeTables(input, true)).toEqual([]);
    expect(nativeTables(input, false)).toEqual([
      { name: "ip filter", hooks: ["forward"], line: 1 },
    ]);
  });

  it("are read from nft's JSON and from commands too", () => {
    const chain = {
      family: "inet",
      table: "fw",
      name: "f",
      type: "filter",
      hook: "forward",
      prio: 0,
    };
    const text = JSON.stringify({ nftables: [{ metainfo: {} }, { chain }] });
    expect(nativeTables({ file: "nft.json", text }, true)).toMatchObject([
      { name: "inet fw", hooks: ["forward"] },
    ]);
    const commands =
      "add table inet fw\nadd chain inet fw f { type filter hook forward priority 0 ; }\n";
    expect(nativeTables({ file: "nft.txt", text: commands }, true)).toMatchObject([
      { name: "inet fw", hooks: ["forward"] },
    ]);
  });

  it("whatever the text is, nothing is thrown", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 400 }), (text) => {
        nativeTables({ file: "nft.txt", text }, true);
        nativeTables({ file: "nft.txt", text: `{${text}` }, true);
      }),
    );
  });

  it("make a world of their own UNKNOWN too", () => {
    const recorded = [
      { file: "gw/nft.txt", text: firewall },
      json("gw/ip-addr.json", [loopback, link(2, "eth0", [["192.0.2.10", 24]])]),
    ];
    const recording = trace(recorded, "192.0.2.7", "192.0.2.10:22", { inputDevice: "eth0" });
    expect(recording.unknown).toContainEqual(expect.stringContaining("nft table inet fw of gw"));
    expect(unknown(recording)[0]).toBe(3);
  });
});

describe("IPVS", () => {
  const dump = "-A -t 10.96.44.10:80 -s rr\n-a -t 10.96.44.10:80 -r 10.244.1.6:8080 -m -w 1\n";
  const files = [...shop, { file: "nodes/worker-1/ipvsadm.txt", text: dump }];

  it("in a node's dump makes answers about its virtual servers UNKNOWN, and no others", () => {
    expect(unknown(trace(files, "shop/web-0", "shop/api:80"))).toEqual([
      3,
      "IPVS of worker-1 balances tcp 10.96.44.10:80 (nodes/worker-1/ipvsadm.txt:1), and IPVS is not modelled",
    ]);
    expect(unknown(trace(files, "shop/api-0", "shop/db:5432"))[0]).toBe(0);
    expect(checkTexts(files)).toContainEqual(
      expect.stringMatching(/^unmodelled {2}worker-1: IPVS/),
    );
  });

  const rules = `*filter
:INPUT ACCEPT [0:0]
-A INPUT -m ipvs --ipvs -j DROP
-A INPUT -m ipvs --vaddr 192.0.2.10 --vport 22 -j DROP
-A INPUT -m ipvs ! --ipvs --vport 23 -j DROP
-A INPUT -p tcp -m tcp --dport 23 -m ipvs ! --ipvs -j REJECT
COMMIT
`;
  const gateway = [
    json("gw/ip-addr.json", [loopback, link(2, "eth0", [["192.0.2.10", 24]])]),
    { file: "gw/iptables-save.txt", text: rules },
  ];
  const asked = (dumps: readonly DumpFile[], port: number): Recording =>
    trace(dumps, "192.0.2.7", `192.0.2.10:${port}`, { inputDevice: "eth0" });

  it("that is not there has had no packet: rules that ask for one are passed by", () => {
    expect(unknown(asked(gateway, 22))[0]).toBe(0);
    expect(unknown(asked(gateway, 23))[0]).toBe(1);
  });

  it("makes rules that ask for its packets UNKNOWN on a node that has virtual servers", () => {
    const servers = { file: "gw/ipvsadm.txt", text: "-A -t 198.51.100.1:80 -s rr\n" };
    expect(unknown(asked([...gateway, servers], 22))).toEqual([
      3,
      "a rule of gw asks for packets of IPVS, and its virtual servers (gw/ipvsadm.txt:1) are not modelled",
    ]);
    const none = { file: "gw/ipvsadm.txt", text: "" };
    expect(unknown(asked([...gateway, none], 22))[0]).toBe(0);
  });

  it.each(["ipvs", "nftables"])(
    "kube-proxy mode %s makes answers about Services UNKNOWN, and leaves those between pods",
    (mode) => {
      const text = `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kube-proxy, namespace: kube-system}\ndata:\n  config.conf: |\n    apiVersion: kubeproxy.config.k8s.io/v1alpha1\n    kind: KubeProxyConfiguration\n    mode: ${mode}\n`;
      const world = [...shop, { file: "zz-proxy.yaml", text }];
      expect(unknown(trace(world, "shop/web-0", "shop/api:80"))).toEqual([
        3,
        `kube-proxy mode "${mode}" is not modelled, so what worker-1 does with packets to Service shop/api is not known`,
      ]);
      expect(unknown(trace(world, "203.0.113.9", "worker-2:30080"))[0]).toBe(3);
      expect(unknown(trace(world, "shop/web-0", "shop/api-1:8080"))[0]).toBe(0);
      expect(checkTexts(world)).toContainEqual(
        expect.stringContaining(`kube-proxy mode "${mode}"`),
      );
    },
  );
});
