// The source of a file of the graph, changed so that it tells the shapes of what its comments speak of.
//
// Three kinds of comments are read, each with what it speaks of:
//   const K = …; // [B, h, S, d]      the value that is assigned, returned or made a property where the line ends
//   @shape q [B, N, D] → [B, N, D]    what the function below, or the layer inside of it, is given and returns
//   k: Tensor; // [B, S, D]           the member of an interface, in parameters and results declared as such
// Groups joined by "or" are alternatives, and so are all of a member. Names before a group are parameters.
import ts from "typescript";
import { type Formula, shapeOf } from "./formula.ts";

/** A shape in a comment: where it stands, and its sizes; `times` are the tensors of a list, as in `B × [4, E]`. */
export interface Group {
  readonly line: number;
  readonly text: string;
  readonly names: readonly string[];
  readonly sizes: readonly Formula[];
  readonly times?: Formula;
}

/** What must hold where the comment's value is seen: each item is matched by one of its alternatives. */
export interface Spec {
  readonly id: string;
  readonly items: readonly (readonly Group[])[];
}

export interface Instrumented {
  readonly code: string;
  readonly specs: readonly Spec[];
  /** comments with a shape that nothing was found for, as file:line */
  readonly unread: readonly string[];
}

/** What a file declares of a type: other types in it, and the specs of its members. */
export interface Declared {
  readonly inside: readonly string[];
  readonly members: ReadonlyMap<string, { spec?: Spec; types: readonly string[] }>;
}

const GROUP = /(?:(\S+) × )?\[([^[\]]*)\]/g;

/** Shapes of a text, alternatives together; not those of code in it. */
function groupsOf(text: string, line: number): Group[][] {
  const items: Group[][] = [];
  let end = 0;
  text = text.replace(/`[^`]*`/g, "`code`");
  for (const match of text.matchAll(GROUP)) {
    const sizes = match[2].trim() === "" ? [] : shapeOf(match[2]);
    const between = text.slice(end, match.index);
    end = match.index + match[0].length;
    if (!sizes) continue;
    const names = /((?:[A-Za-z]\w*, )*[A-Za-z]\w*) $/.exec(between)?.[1].split(", ") ?? [];
    const isAlternative = names.at(-1) === "or";
    const times = match[1] === undefined ? undefined : shapeOf(match[1])?.[0];
    const group = { line, text: match[0], names: isAlternative ? [] : names, sizes, times };
    if (isAlternative && items.length > 0) items.at(-1)!.push(group);
    else items.push([group]);
  }
  return items;
}

/** The types that a file declares, with the shapes of their members. */
export function declarations(file: string, source: string): Map<string, Declared> {
  const tree = ts.createSourceFile(file, source, ts.ScriptTarget.Latest, true);
  const found = new Map<string, Declared>();
  for (const node of tree.statements) {
    if (ts.isTypeAliasDeclaration(node)) {
      found.set(node.name.text, { inside: namesIn(node.type), members: new Map() });
    } else if (ts.isInterfaceDeclaration(node)) {
      const members = new Map<string, { spec?: Spec; types: readonly string[] }>();
      for (const member of node.members) {
        if (!ts.isPropertySignature(member) || !member.type) continue;
        const comments = [
          ...(ts.getLeadingCommentRanges(source, member.pos) ?? []).filter(
            ({ pos }) => lineAt(tree, pos) !== lineAt(tree, member.pos),
          ),
          ...(ts.getTrailingCommentRanges(source, member.end) ?? []),
        ];
        const items = comments.flatMap(({ pos, end }) => groupsOf(source.slice(pos, end), lineAt(tree, pos)));
        const isList = ts.isArrayTypeNode(unwrapped(member.type)) || ts.isTupleTypeNode(unwrapped(member.type));
        const id = `${file}:${lineAt(tree, member.end)}`;
        const spec = items.length ? { id, items: isList ? items : [items.flat()] } : undefined;
        members.set(member.name.getText(), { spec, types: namesIn(member.type) });
      }
      const inside = (node.heritageClauses ?? []).flatMap(({ types }) => types.flatMap(namesIn));
      found.set(node.name.text, { inside, members });
    }
  }
  return found;
}

function unwrapped(type: ts.TypeNode): ts.TypeNode {
  return ts.isTypeOperatorNode(type) ? type.type : type;
}

function namesIn(type: ts.Node): string[] {
  return (
    type
      .getText()
      .replace(/"[^"]*"/g, "")
      .match(/[A-Z]\w*/g) ?? []
  );
}

/** Lines are counted from 1. */
function lineAt(tree: ts.SourceFile, position: number): number {
  return tree.getLineAndCharacterOfPosition(position).line + 1;
}

/**
 * The file with calls of `globalThis.shapes` in it (recorder.ts): `enter` where a function begins, `see` around values,
 * `given` and `made` for the operands and results of functions.
 */
export function instrument(file: string, source: string, types: ReadonlyMap<string, Declared>): Instrumented {
  const tree = ts.createSourceFile(file, source, ts.ScriptTarget.Latest, true);
  const insertions: { at: number; text: string; closes: boolean }[] = [];
  const specs: Spec[] = [];
  const read = new Set<number>();
  const wrap = (node: ts.Node, before: string, after: string) => {
    insertions.push({ at: node.getStart(), text: before, closes: false }, { at: node.end, text: after, closes: true });
  };
  const add = (line: number, items: Group[][]): Spec => {
    const spec = { id: `${file}:${line}:${specs.length}`, items };
    specs.push(spec);
    return spec;
  };

  // Trailing comments: the value of the outermost node that ends on the line.
  const comments: { pos: number; end: number }[] = [];
  const scanner = ts.createScanner(ts.ScriptTarget.Latest, false, ts.LanguageVariant.Standard, source);
  for (let kind = scanner.scan(); kind !== ts.SyntaxKind.EndOfFileToken; kind = scanner.scan()) {
    if (kind === ts.SyntaxKind.SingleLineCommentTrivia)
      comments.push({ pos: scanner.getTokenStart(), end: scanner.getTokenEnd() });
  }
  const trailing = new Map<number, { line: number; items: Group[][] }>();
  for (const { pos, end } of comments) {
    const line = lineAt(tree, pos);
    const before = source.slice(source.lastIndexOf("\n", pos) + 1, pos);
    const items = groupsOf(source.slice(pos, end), line);
    if (items.length > 0 && before.trim() !== "")
      trailing.set(pos - before.length + before.trimEnd().length, { line, items });
  }

  const valueOf = (node: ts.Node): ts.Node | undefined => {
    if (ts.isVariableStatement(node)) return node.declarationList.declarations.at(-1)!.initializer;
    if (ts.isReturnStatement(node)) return node.expression;
    if (ts.isPropertyAssignment(node)) return node.initializer;
    if (ts.isExpressionStatement(node) && ts.isBinaryExpression(node.expression)) return node.expression.right;
    return undefined;
  };
  const scopeOf = (items: readonly (readonly Group[])[]) => {
    const letters = items
      .flat()
      .flatMap(({ sizes, times }) => [...sizes, ...(times ? [times] : [])])
      .flatMap((size) => size.letters);
    const own = [...new Set(letters)].filter((letter) => /^[A-Za-z_]\w*$/.test(letter));
    return `{ ${own.map((letter) => `${letter}: () => ${letter}`).join(", ")} }`;
  };

  // Functions: which comment describes them.
  const described = new Map<ts.Node, { line: number; left: Group[][]; right: Group[][] }>();
  const describe = (node: ts.Node) => {
    if (!ts.isFunctionDeclaration(node) && !ts.isVariableStatement(node)) return;
    const docs = ts.getLeadingCommentRanges(source, node.pos)?.at(-1);
    const match = docs && /@shape\s+([^@]*)/.exec(source.slice(docs.pos, docs.end));
    if (!docs || !match) return;
    const line = lineAt(tree, docs.pos + match.index);
    const text = match[1]
      .replace(/\*\/$/, "")
      .replace(/\n\s*\* ?/g, " ")
      .replace(/\s+/g, " ");
    if (!/\[/.test(text)) return;
    const whole = ts.isFunctionDeclaration(node) ? node : node.declarationList.declarations[0].initializer!;
    const target = ts.isFunctionLike(whole) ? (layersIn(whole)[0] ?? returnedBy(whole) ?? whole) : layersIn(whole)[0];
    if (!target) return;
    const [left, right = ""] = text.split("→");
    described.set(target, { line, left: groupsOf(left, line), right: groupsOf(right, line) });
    for (let l = lineAt(tree, docs.pos); l <= lineAt(tree, docs.end); l++) read.add(l);
  };

  const seeing = (value: ts.Node, { line, items }: { line: number; items: Group[][] }) => {
    const { id } = add(line, items);
    wrap(value, `globalThis.shapes.see("${id}", inCall, `, `, ${scopeOf(items)})`);
  };
  const results = new Map<ts.Node, { line: number; items: Group[][] }>(); // of functions of one line

  const visit = (node: ts.Node): void => {
    describe(node);
    const here = trailing.get(node.end) ?? trailing.get(node.end + (source[node.end] === "," ? 1 : 0));
    const value = here && valueOf(node);
    if (here && value && !read.has(here.line)) {
      read.add(here.line);
      if (ts.isArrowFunction(value)) results.set(value.body, here);
      else seeing(value, here);
    }
    if ((ts.isArrowFunction(node) || ts.isFunctionDeclaration(node)) && node.body) enterFunction(node);
    ts.forEachChild(node, visit);
  };

  const enterFunction = (node: ts.ArrowFunction | ts.FunctionDeclaration) => {
    const about = described.get(node);
    const parameters = node.parameters.flatMap(({ name }) => boundIn(name));
    let head = "const inCall = globalThis.shapes.enter(); ";
    if (about?.left.length) {
      const { id } = add(about.line, about.left);
      head += `globalThis.shapes.given("${id}", inCall, { ${parameters.join(", ")} }, ${scopeOf(about.left)}); `;
    }
    for (const { name, type } of node.parameters) {
      for (const known of type ? namesIn(type).filter((one) => types.has(one)) : []) {
        const whole = ts.isIdentifier(name) ? name.text : `{ ${propertiesIn(name)} }`;
        head += `globalThis.shapes.typed("${known}", inCall, ${whole}); `;
      }
    }
    const checks: string[] = [];
    if (about?.right.length) {
      const { id } = add(about.line, about.right);
      checks.push(`globalThis.shapes.made("${id}", inCall, made, ${scopeOf(about.right)})`);
    }
    for (const known of node.type ? namesIn(node.type).filter((one) => types.has(one)) : []) {
      checks.push(`globalThis.shapes.typed("${known}", inCall, made)`);
    }
    const pass = checks.length ? [`((made) => { ${checks.join("; ")}; return made; })(`, ")"] : ["", ""];
    const body = node.body!;
    if (ts.isBlock(body)) {
      insertions.push({ at: body.getStart() + 1, text: ` ${head}`, closes: false });
      if (checks.length) returnsOf(body).forEach((value) => wrap(value, pass[0], pass[1]));
    } else {
      wrap(body, `{ ${head} return ${pass[0]}`, `${pass[1]}; }`);
      if (results.has(body)) seeing(body, results.get(body)!);
    }
  };

  visit(tree);
  for (const { members } of declarations(file, source).values()) {
    for (const { spec } of members.values()) {
      if (!spec) continue;
      specs.push(spec);
      for (const { line } of spec.items.flat()) read.add(line);
    }
  }
  const unread = [...trailing.values()].filter(({ line }) => !read.has(line)).map(({ line }) => `${file}:${line}`);
  for (const [i, line] of source.split("\n").entries()) {
    if (/@shape[^[]*\[/.test(line) && !read.has(i + 1)) unread.push(`${file}:${i + 1}`);
  }
  return { code: applied(source, insertions), specs, unread };
}

/** Forward functions: the last argument of the calls of `layer` in a function, not in those inside of it. */
function layersIn(node: ts.Node): ts.ArrowFunction[] {
  const found: ts.ArrowFunction[] = [];
  const visit = (child: ts.Node): void => {
    if (ts.isCallExpression(child) && child.expression.getText() === "layer") {
      const forward = child.arguments.at(-1)!;
      if (ts.isArrowFunction(forward)) found.push(forward);
      return;
    }
    if (child !== node && ts.isFunctionLike(child)) return;
    ts.forEachChild(child, visit);
  };
  visit(node);
  return found;
}

/** The function that a builder returns. */
function returnedBy(node: ts.SignatureDeclaration): ts.Node | undefined {
  const body = ts.isFunctionDeclaration(node) ? node.body : undefined;
  return body && returnsOf(body).find(ts.isArrowFunction);
}

/** Values that a function returns. */
function returnsOf(body: ts.Node): ts.Node[] {
  const found: ts.Node[] = [];
  const visit = (child: ts.Node): void => {
    if (ts.isFunctionLike(child)) return;
    if (ts.isReturnStatement(child) && child.expression) found.push(child.expression);
    ts.forEachChild(child, visit);
  };
  visit(body);
  return found;
}

/** Names that a parameter binds. */
function boundIn(name: ts.BindingName): string[] {
  if (ts.isIdentifier(name)) return [name.text];
  return name.elements.flatMap((element) => (ts.isBindingElement(element) ? boundIn(element.name) : []));
}

/** Properties that a destructured parameter takes, as those of a new object. */
function propertiesIn(name: ts.BindingPattern): string {
  const elements = name.elements.flatMap((one) => (ts.isBindingElement(one) && ts.isIdentifier(one.name) ? [one] : []));
  return elements
    .map((element) => `${(element.propertyName ?? element.name).getText()}: ${element.name.getText()}`)
    .join(", ");
}

/** Where several stand at one place, what closes comes before what opens, the inner before the outer. */
function applied(source: string, insertions: readonly { at: number; text: string; closes: boolean }[]): string {
  const order = insertions.map((one, i) => ({ ...one, i }));
  order.sort((a, b) => a.at - b.at || Number(b.closes) - Number(a.closes) || (a.closes ? b.i - a.i : a.i - b.i));
  let [code, at] = ["", 0];
  for (const { at: next, text } of order) {
    code += source.slice(at, next) + text;
    at = next;
  }
  return code + source.slice(at);
}
