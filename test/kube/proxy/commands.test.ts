import { describe, expect, it } from "vitest";
import { UserError } from "../../../src/base/errors.js";
import { proxyCommands } from "../../../src/kube/proxy/commands.js";
import type { ProxyConfig } from "../../../src/kube/proxy/config.js";
import { serviceObjects, serviceState } from "../../../src/kube/proxy/service-state.js";
import { nodeA, plainConfig, service, slice } from "./world.js";

const objects = {
  services: [service("web")],
  endpointSlices: [slice("web", [{ addresses: ["10.244.1.40"] }])],
};
const state = serviceState(serviceObjects(objects, 4), nodeA);
const commands = (more: Partial<ProxyConfig>): ReturnType<typeof proxyCommands> =>
  proxyCommands("node-a", state, nodeA, { ...plainConfig, ...more });

describe("what kubelet and kube-proxy type on a fresh node", () => {
  it("in iptables mode: a sysctl for node ports on localhost, then one restore", () => {
    expect(commands({}).map(({ command }) => [command.argv.join(" "), command.stdinName])).toEqual([
      ["sysctl -w net.ipv4.conf.all.route_localnet=1", undefined],
      ["iptables-restore --noflush", "node-a.rules"],
    ]);
    expect(commands({ localhostNodePorts: false }).map(({ command }) => command.argv[0])).toEqual([
      "iptables-restore",
    ]);
  });

  it("in nftables mode: kubelet's restore, then an nft script", () => {
    expect(
      commands({ mode: "nftables" }).map(({ command }) => [
        command.argv.join(" "),
        command.stdinName,
      ]),
    ).toEqual([
      ["iptables-restore --noflush", "node-a.rules"],
      ["nft -f -", "node-a.nft"],
    ]);
  });

  it("each line of a text has its origin", () => {
    for (const { command, origins } of [...commands({}), ...commands({ mode: "nftables" })]) {
      expect(origins).toHaveLength((command.stdin ?? "").split("\n").length - 1);
    }
  });

  it.each(["ipvs", "userspace"] as const)("in mode %s: nothing, and it says so", (mode) => {
    expect(() => commands({ mode })).toThrow(UserError);
    expect(() => commands({ mode })).toThrow(`kube-proxy mode ${mode} is not modelled`);
  });
});
