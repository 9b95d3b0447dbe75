import { compileExpr, type Expr, ExprFailure } from "../expr.js";
import { definePlugin, type Plugin, type Query } from "../plugin.js";
import { queryFunctions, queryFunctionTypes } from "../query-expr.js";

/** `view NAME { expr EXPRESSION }`: the block takes only queries for which every expression is true. */
export const view: Plugin = definePlugin({
  name: "view",
  setup(c) {
    const exprs: Expr[] = [];
    let name = "";
    let place = c.place();
    for (let count = 0; c.next(); count++) {
      if (count > 0) throw c.once();
      place = c.place();
      const args = c.remainingArgs();
      if (args.length !== 1) throw c.argErr();
      name = args[0] ?? "";
      while (c.nextBlock()) {
        if (c.val() !== "expr") throw c.unknownProperty(["expr"]);
        const words = c.remainingArgs();
        if (words.length === 0) throw c.argErr();
        const scope = { functions: queryFunctionTypes, variables: new Map() };
        const expr = compileExpr(words.join(" "), scope);
        if ("error" in expr) throw c.plain(expr.error);
        exprs.push(expr);
      }
    }
    return {
      name: "view",
      place,
      metadata: () => [["view/name", name]],
      filter: (query) => exprs.every((expr) => holds(expr, query)),
    };
  },
});

/** An expression that fails is false. */
function holds(expr: Expr, query: Query): boolean {
  try {
    return expr.run({ functions: queryFunctions(query), variables: new Map() }) === true;
  } catch (error) {
    if (error instanceof ExprFailure) return false;
    throw error;
  }
}
