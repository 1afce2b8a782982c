import { cpus } from "node:os";
import type { MachineDescription } from "../runtime/report.ts";

export function describeMachine(): MachineDescription {
  const all = cpus();
  const os = `${process.platform} ${process.arch}`;
  return { cpu: all[0]?.model.trim() ?? "unknown", cores: all.length, os, node: process.version };
}
