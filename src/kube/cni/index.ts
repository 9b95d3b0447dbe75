import { bridgeAdd, bridgeCheck, bridgeDel } from "./bridge.js";
import { flannelAdd, flannelCheck, flannelDel } from "./flannel.js";
import { firewallAdd, firewallCheck, firewallDel } from "./firewall.js";
import { hostLocalAdd, hostLocalCheck, hostLocalDel } from "./host-local.js";
import { loopbackAdd, loopbackCheck, loopbackDel } from "./loopback.js";
import type { CniPlugin } from "./plugin.js";
import { portmapAdd, portmapCheck, portmapDel } from "./portmap.js";
import { ptpAdd, ptpCheck, ptpDel } from "./ptp.js";

/** Every plugin that can be called. `ipam.ts` lists those that give addresses. */
export const cniPlugins: readonly CniPlugin[] = [
  { name: "bridge", add: bridgeAdd, del: bridgeDel, check: bridgeCheck },
  { name: "ptp", add: ptpAdd, del: ptpDel, check: ptpCheck },
  { name: "flannel", add: flannelAdd, del: flannelDel, check: flannelCheck },
  { name: "loopback", add: loopbackAdd, del: loopbackDel, check: loopbackCheck },
  { name: "host-local", add: hostLocalAdd, del: hostLocalDel, check: hostLocalCheck },
  { name: "portmap", add: portmapAdd, del: portmapDel, check: portmapCheck },
  { name: "firewall", add: firewallAdd, del: firewallDel, check: firewallCheck },
];
