export interface Check {
  readonly name: string;
  readonly error?: string;
}
export declare function unusable(program: string): string | undefined;
export declare function installed(name: string): string;
export declare function linked(folder: string): string | undefined;
export declare function installFolder(what: string, folder: string): Check[];
export declare function installRuntimes(): Check[];
export declare function installTrained(): Check[];
export declare function installLab(): Check[];
