/** The questions that other floors ask of routing, in one place. Each is answered in a file of its own. */
export { routeInput } from "./route-input.js";
export { isRoute, routeOutput } from "./route-output.js";
export { inetAddrType, selectSource } from "./source-address.js";
