import { formatConflist, formatCorefile, formatRulesText, parseLab, labScript, UserError } from "hopwise";

// Each text goes through the real grammar and is printed as the real tool prints it.
console.log(formatRulesText("*filter\n-A INPUT -p tcp --dport 22 -j ACCEPT\nCOMMIT\n", "my.rules"));
console.log(formatCorefile(".:53 { \n errors\n cache 30\n}\n", "Corefile"));
console.log(formatConflist('{"cniVersion":"1.0.0","name":"n","plugins":[{"type":"loopback"}]}', "n.conflist"));
console.log(labScript(parseLab("one.yaml", "lab: one\nnamespaces: [a]\n")));

// Mistakes are UserErrors with a place and help.
try {
  formatRulesText("*filter\n-A INPUT -m markk --mark 1\nCOMMIT\n", "bad.rules");
} catch (error) {
  if (error instanceof UserError) console.log(error.details.place, error.details.help);
}
