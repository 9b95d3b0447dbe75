import {
  boolField,
  type CniCall,
  mappingField,
  numberField,
  parseArgs,
  type PluginConfig,
  stringField,
} from "./config.js";
import { fail } from "./failure.js";
import { type CniHost, macFor } from "./host.js";
import type { CniResult } from "./result.js";
import { addSubDevice, checkSubDevice, delSubDevice } from "./sub-device.js";
import { newLink } from "./veth.js";

/** `tap` ADD: a device for a virtual machine in the container, which nobody has open yet. Mirrors plugins/main/tap/tap.go:cmdAdd(). */
export function tapAdd(host: CniHost, config: PluginConfig, call: CniCall): CniResult {
  const { raw } = config;
  const bridge = stringField(raw, "bridge");
  const mtu = numberField(raw, "mtu");
  const owners = [...ownerWords(raw, "owner", "user"), ...ownerWords(raw, "group", "group")];
  const queues = boolField(raw, "multiQueue") ? ["multi_queue"] : [];
  return addSubDevice(host, config, call, { layerTwo: true }, ({ ns, name }) => {
    if (bridge !== "" && !host.links(ns).has(bridge))
      fail(`failed to get bridge ${bridge}: Link not found`);
    const mac = askedMac(config, call) || macFor(`${ns} ${name}`);
    host.run(ns, "ip", "tuntap", "add", name, "mode", "tap", ...queues, ...owners);
    host.run(ns, "ip", "link", "set", name, "address", mac);
    if (mtu !== 0) host.run(ns, "ip", "link", "set", name, "mtu", String(mtu));
    if (bridge !== "") host.run(ns, "ip", "link", "set", name, "master", bridge);
    return {
      ...newLink(name, "tun", mac),
      ...(mtu === 0 ? {} : { mtu }),
      ...(bridge === "" ? {} : { master: bridge }),
    };
  });
}

export function tapDel(host: CniHost, config: PluginConfig, call: CniCall): void {
  delSubDevice(host, config, call);
}

export function tapCheck(host: CniHost, config: PluginConfig, call: CniCall): void {
  checkSubDevice(host, config, call);
}

function ownerWords(
  raw: Readonly<Record<string, unknown>>,
  key: "owner" | "group",
  word: string,
): readonly string[] {
  return raw[key] === undefined ? [] : [word, String(numberField(raw, key))];
}

/** At run time, in the network's arguments or in CNI_ARGS; the first that is given. */
function askedMac({ raw }: PluginConfig, call: CniCall): string {
  const inArgs = parseArgs(call.env["CNI_ARGS"], ["MAC"]).get("MAC") ?? "";
  const inConfig = stringField(mappingField(mappingField(raw, "args"), "cni"), "mac");
  const atRuntime = stringField(mappingField(raw, "runtimeConfig"), "mac");
  return atRuntime || inConfig || inArgs || stringField(raw, "mac");
}
