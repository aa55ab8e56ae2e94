import { parseInterface, type Interface } from '../src/protocol/idl.ts';
import { INTERFACE_DESCRIPTION } from '../src/protocol/interface.generated.ts';

let parsed: Interface | undefined;

/** Returns the parsed interface, which is parsed on first use, or at build time in `cio` (`tools/build-client.ts`). */
export function interfaceDefinition(): Interface {
  parsed ??= parseInterface(INTERFACE_DESCRIPTION);
  return parsed;
}
