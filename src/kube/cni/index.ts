import { bandwidthAdd, bandwidthCheck, bandwidthDel } from "./bandwidth.js";
import { bridgeAdd, bridgeCheck, bridgeDel } from "./bridge.js";
import { calicoAdd, calicoCheck, calicoDel } from "./calico.js";
import { flannelAdd, flannelCheck, flannelDel } from "./flannel.js";
import { firewallAdd, firewallCheck, firewallDel } from "./firewall.js";
import { hostLocalAdd, hostLocalCheck, hostLocalDel } from "./host-local.js";
import { loopbackAdd, loopbackCheck, loopbackDel } from "./loopback.js";
import { dummyAdd, dummyCheck, dummyDel } from "./dummy.js";
import { hostDeviceAdd, hostDeviceCheck, hostDeviceDel } from "./host-device.js";
import { ipvlanAdd, ipvlanCheck, ipvlanDel } from "./ipvlan.js";
import { macvlanAdd, macvlanCheck, macvlanDel } from "./macvlan.js";
import { sbrAdd, sbrCheck, sbrDel } from "./sbr.js";
import { tapAdd, tapCheck, tapDel } from "./tap.js";
import { tuningAdd, tuningCheck, tuningDel } from "./tuning.js";
import { vlanAdd, vlanCheck, vlanDel } from "./vlan.js";
import { vrfAdd, vrfCheck, vrfDel } from "./vrf.js";
import type { CniPlugin } from "./plugin.js";
import { portmapAdd, portmapCheck, portmapDel } from "./portmap.js";
import { ptpAdd, ptpCheck, ptpDel } from "./ptp.js";

/** Every plugin that can be called. `ipam.ts` lists those that give addresses. */
export const cniPlugins: readonly CniPlugin[] = [
  { name: "bridge", add: bridgeAdd, del: bridgeDel, check: bridgeCheck },
  { name: "ptp", add: ptpAdd, del: ptpDel, check: ptpCheck },
  { name: "flannel", add: flannelAdd, del: flannelDel, check: flannelCheck },
  { name: "calico", add: calicoAdd, del: calicoDel, check: calicoCheck },
  { name: "macvlan", add: macvlanAdd, del: macvlanDel, check: macvlanCheck },
  { name: "ipvlan", add: ipvlanAdd, del: ipvlanDel, check: ipvlanCheck },
  { name: "vlan", add: vlanAdd, del: vlanDel, check: vlanCheck },
  { name: "host-device", add: hostDeviceAdd, del: hostDeviceDel, check: hostDeviceCheck },
  { name: "dummy", add: dummyAdd, del: dummyDel, check: dummyCheck },
  { name: "tap", add: tapAdd, del: tapDel, check: tapCheck },
  { name: "loopback", add: loopbackAdd, del: loopbackDel, check: loopbackCheck },
  { name: "host-local", add: hostLocalAdd, del: hostLocalDel, check: hostLocalCheck },
  { name: "portmap", add: portmapAdd, del: portmapDel, check: portmapCheck },
  { name: "firewall", add: firewallAdd, del: firewallDel, check: firewallCheck },
  { name: "bandwidth", add: bandwidthAdd, del: bandwidthDel, check: bandwidthCheck },
  { name: "tuning", add: tuningAdd, del: tuningDel, check: tuningCheck },
  { name: "sbr", add: sbrAdd, del: sbrDel, check: sbrCheck },
  { name: "vrf", add: vrfAdd, del: vrfDel, check: vrfCheck },
];
