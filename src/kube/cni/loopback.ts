import type { CniCall, PluginConfig } from "./config.js";
import { fail } from "./failure.js";
import type { CniHost } from "./host.js";
import { sandboxOf } from "./plugin.js";
import type { CniResult } from "./result.js";

/** `loopback` ADD: `lo` up. Mirrors plugins/main/loopback/loopback.go. IPv6's ::1 is not reported while the stack has no IPv6. */
export function loopbackAdd(host: CniHost, _config: PluginConfig, call: CniCall): CniResult {
  const { path, ns } = sandboxOf(host, call);
  const lo = host.links(ns).get("lo");
  if (lo === undefined) return fail("Link not found");
  host.run(ns, "ip", "link", "set", "lo", "up");
  lo.up = true;
  const interfaces = [{ name: "lo", mac: lo.mac, sandbox: path }];
  return { interfaces, ips: [{ interface: 0, address: "127.0.0.1/8" }], routes: [], dns: {} };
}

export function loopbackDel(host: CniHost, _config: PluginConfig, call: CniCall): void {
  const ns = host.sandbox(call.env["CNI_NETNS"] ?? "");
  const lo = ns === undefined ? undefined : host.links(ns).get("lo");
  if (ns === undefined || lo === undefined) return;
  host.run(ns, "ip", "link", "set", "lo", "down");
  lo.up = false;
}

export function loopbackCheck(host: CniHost, _config: PluginConfig, call: CniCall): void {
  const { ns } = sandboxOf(host, call);
  if (host.links(ns).get("lo")?.up !== true) fail("loopback interface is down");
}
