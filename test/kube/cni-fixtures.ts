import { type CniHost, macFor } from "../../src/kube/cni/host.js";
import { newLink } from "../../src/kube/cni/veth.js";

/** What the recording's shell did to the node before: four lines that make a device `eth9` with a default route. */
export function prepare(host: CniHost, line: string): void {
  const words = line.split(" ");
  const name = words.at(-1) ?? "";
  if (line.startsWith("ip link add ")) {
    const [, , , made = "", , kind = ""] = words;
    host.links(host.ns).set(made, newLink(made, kind, macFor(made)));
  } else if (line.startsWith("ip addr add "))
    host
      .links(host.ns)
      .get(name)
      ?.addresses.push(words[3] ?? "");
  else if (line.startsWith("ip route add default ")) host.defaultDevice = "eth9";
}
