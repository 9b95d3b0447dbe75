/** The questions that other floors ask of routing, in one place. Each is answered in a file of its own. */
export { type InputFlow, decideInput, routeInput } from "./route-input.js";
export { type OutputFlow, type OutputRefusal, isRoute, routeOutput } from "./route-output.js";
export { type InetAddressType, inetAddrType, selectSource } from "./source-address.js";
export { attachRoute, RouteEntry } from "./route-entry.js";
