// Loaded into npm: makes it take the Node that it runs on for the pinned one, for which it installs. npm leaves out
// optional packages that the running Node is too old for, and has no option to say that another one will use them.
Object.defineProperty(process, 'version', { value: process.env['CIO_PINNED_NODE_VERSION'] });
