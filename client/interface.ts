import { parseInterface, type Interface } from '../src/protocol/idl.ts';
import { INTERFACE_DESCRIPTION } from '../src/protocol/interface.generated.ts';

let parsed: Interface | undefined;

/** The interface, parsed when it is first needed. The bundle of `cio` has it parsed already (`tools/build-client.ts`). */
export function interfaceDefinition(): Interface {
  parsed ??= parseInterface(INTERFACE_DESCRIPTION);
  return parsed;
}
