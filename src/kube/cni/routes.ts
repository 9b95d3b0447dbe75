import { isMapping } from "../load/check.js";
import { parseAddress, parseBlock } from "./address.js";
import { listField, type RouteConfig, stringField } from "./config.js";
import { fail } from "./failure.js";

/** The `routes` of an IPAM section, as they are written. */
export function routesOf(ipam: Readonly<Record<string, unknown>>): readonly RouteConfig[] {
  return listField(ipam, "routes").map((route) => {
    if (!isMapping(route))
      return fail("json: cannot unmarshal a route into Go value of type types.route");
    const dst = stringField(route, "dst");
    if (parseBlock(dst) === undefined) fail(`invalid CIDR address: ${dst}`);
    const gw = stringField(route, "gw");
    if (gw !== "" && parseAddress(gw) === undefined) fail(`invalid IP address: ${gw}`);
    return gw === "" ? { dst } : { dst, gw };
  });
}
