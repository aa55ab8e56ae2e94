// Loaded into npm, to make npm believe that it runs on the pinned Node. npm leaves out optional packages that the
// running Node is too old for, and has no option to say that another Node will use them.
Object.defineProperty(process, 'version', { value: process.env['CIO_PINNED_NODE_VERSION'] });
